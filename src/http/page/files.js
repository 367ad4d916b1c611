// Reads a file that was opened or dropped.

import { RequestError } from "./api.js";

const MAX_BYTES = 5_000_000;
const NAMES = /\.(txt|text|md|html?|xhtml)$/i;

/** The text of a file. UTF-8 and UTF-16 are told by their bytes; what is neither was written by older Windows programs. */
export async function readFile(file) {
  if (!NAMES.test(file.name) && !file.type.startsWith("text/")) throw new RequestError("file_kind");
  if (file.size > MAX_BYTES) throw new RequestError("file_size");
  const bytes = new Uint8Array(await file.arrayBuffer());
  return decode(bytes).replace(/\r\n?/g, "\n");
}

function decode(bytes) {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}
