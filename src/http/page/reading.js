// A text as a reader sees it. Offsets always refer to the text as sent: markup is hidden, not removed.

const TAGS = "a abbr article aside b blockquote body br cite code dd div dl dt em figcaption figure footer h1 h2 h3 h4 h5 h6 head header hr html i img li link main meta nav ol p pre script section small span strong style sub sup table tbody td tfoot th thead title tr u ul";
const INLINE = new Set("a abbr b cite code em i img link meta small span strong sub sup u".split(" "));
const TAG = new RegExp(`<!--[\\s\\S]*?-->|<!doctype[^>]*>|<(script|style|head)\\b[\\s\\S]*?</\\1\\s*>|</?(${TAGS.replaceAll(" ", "|")})(?:\\s[^<>]*)?/?>|&(?:#\\d+|#x[0-9a-f]+|\\w+);|\\s*\\n\\s*`, "gi");
const OPENING = new RegExp(`</?(${TAGS.replaceAll(" ", "|")})(\\s[^<>]*)?/?>`, "i");

/** Parts of `text` in order: `{start, end}` shown as they are, or with `shown` in their stead. */
export function readingParts(text) {
  if (!OPENING.test(text)) return [{ start: 0, end: text.length }];
  const parts = [];
  let position = 0;
  let broken = true;
  const add = part => {
    const shown = part.shown ?? text.slice(part.start, part.end);
    if (shown === "\n" && broken) part.shown = "";
    if (shown.trim()) broken = false;
    else if (shown === "\n") broken = true;
    parts.push(part);
  };
  for (const match of text.matchAll(TAG)) {
    if (match.index > position) add({ start: position, end: match.index });
    position = match.index + match[0].length;
    add({ start: match.index, end: position, shown: shownFor(match) });
  }
  if (position < text.length) add({ start: position, end: text.length });
  return parts;
}

function shownFor([found, , tag]) {
  if (found.startsWith("&")) return character(found);
  if (tag) return INLINE.has(tag.toLowerCase()) ? "" : "\n";
  return found.trim() ? "" : " ";
}

/** The character of a reference. The browser knows their names; a parsed document runs no script and loads nothing. */
function character(reference) {
  return new DOMParser().parseFromString(reference, "text/html").body?.textContent ?? reference;
}
