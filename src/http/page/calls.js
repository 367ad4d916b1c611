// The answer as JSON, and the same request for a shell and for Python.

import { addressOf, storedKey } from "./api.js";
import { element } from "./dom.js";

/** A command for a POSIX shell. The key stays out of it: it is read from the environment. */
export function curlCall(request) {
  const quoted = text => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl -s ${quoted(addressOf("v1/classify"))}`, "  -H 'content-type: application/json'"];
  if (storedKey()) lines.push('  -H "authorization: Bearer $RESSORT_API_KEY"');
  lines.push(`  -d ${quoted(JSON.stringify(request))}`);
  return lines.join(" \\\n");
}

/** A program that needs Python's standard library only. */
export function pythonCall(request) {
  const headers = ['"content-type": "application/json"'];
  if (storedKey()) headers.push('"authorization": f"Bearer {os.environ[\'RESSORT_API_KEY\']}"');
  return `import json
${storedKey() ? "import os\n" : ""}import urllib.request

request = ${python(request)}
call = urllib.request.Request(
    ${JSON.stringify(addressOf("v1/classify"))},
    data=json.dumps(request).encode(),
    headers={${headers.join(", ")}},
)
with urllib.request.urlopen(call) as response:
    answer = json.load(response)
print(json.dumps(answer, ensure_ascii=False, indent=2))
`;
}

/** A value as Python writes it. A string of JSON means the same in Python. */
function python(value) {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (value && typeof value === "object") {
    return `{${Object.entries(value).map(([key, of]) => `${JSON.stringify(key)}: ${python(of)}`).join(", ")}}`;
  }
  return { true: "True", false: "False", null: "None" }[String(value)] ?? String(value);
}

const LINE = 120;

/** JSON with an object in one line where it fits, as the manual prints it. */
export function prettyJson(value, indent = "") {
  const flat = flatJson(value);
  const entries = value && typeof value === "object" ? Object.entries(value) : [];
  if (entries.length === 0 || (flat.length + indent.length <= LINE && indent)) return flat;
  const inner = `${indent}  `;
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const lines = entries.map(([key, of]) => inner + (Array.isArray(value) ? "" : `${JSON.stringify(key)}: `) + prettyJson(of, inner));
  return `${open}\n${lines.join(",\n")}\n${indent}${close}`;
}

function flatJson(value) {
  if (!value || typeof value !== "object") return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(flatJson).join(", ")}]`;
  return `{${Object.entries(value).map(([key, of]) => `${JSON.stringify(key)}: ${flatJson(of)}`).join(", ")}}`;
}

/** JSON as nodes, with keys, strings and numbers in colours. */
export function colouredJson(json) {
  const parts = json.split(/("(?:[^"\\]|\\.)*"(?:: )?|-?\d[\d.eE+-]*|\btrue\b|\bfalse\b|\bnull\b)/);
  return parts.map((part, index) => {
    if (index % 2 === 0) return part;
    if (part.endsWith(": ")) return element("span", { class: "json-key" }, part);
    return element("span", { class: part.startsWith('"') ? "json-string" : "json-number" }, part);
  });
}
