// Requests to the service, and the key, which lives in this tab only.

const KEY = "ressort-key";

/** A request that failed: `code` is the API's, or `network` or `no_answer`; `detail` is the API's sentence. */
export class RequestError extends Error {
  constructor(code, detail = "") {
    super(detail || code);
    this.code = code;
    this.detail = detail;
  }
}

export const storedKey = () => sessionStorage.getItem(KEY) ?? "";

export function storeKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** The address of a route, also where a proxy serves the page below a path. */
export const addressOf = path => new URL(path, document.baseURI).href;

export const loadModels = () => send("v1/models", {});

/** The answer for a request, and the milliseconds that it took. */
export async function classify(request, signal) {
  const started = performance.now();
  const headers = { "content-type": "application/json" };
  const answer = await send("v1/classify", { method: "POST", headers, body: JSON.stringify(request), signal });
  return { answer, milliseconds: performance.now() - started };
}

async function send(path, options) {
  const key = storedKey();
  const authorization = key ? { authorization: `Bearer ${key}` } : {};
  let response;
  try {
    response = await fetch(addressOf(path), { ...options, headers: { ...options.headers, ...authorization }, referrerPolicy: "no-referrer" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    // A key with characters that no header can hold fails here too.
    throw new RequestError(/[^\x20-\x7e]/.test(key) ? "unauthorized" : "network", error.message);
  }
  let body;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError("no_answer", `HTTP ${response.status}`);
  }
  if (!response.ok) throw new RequestError(body.code ?? "no_answer", body.detail ?? `HTTP ${response.status}`);
  return body;
}
