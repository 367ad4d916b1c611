// Topics and entities of a text, with fetch. Offsets are in UTF-16 units, as JavaScript counts.
const server = process.env.RESSORT_SERVER ?? "http://127.0.0.1:8080";
const text = "👍 Angela Merkel sprach in Berlin über den Haushalt.";
const response = await fetch(`${server}/v1/classify`, {
  method: "POST",
  headers: { "content-type": "application/json", authorization: `Bearer ${process.env.RESSORT_API_KEY ?? ""}` },
  body: JSON.stringify({ text, top_k: 2, offset_unit: "utf16" }),
});
const answer = await response.json();
if (!response.ok) throw new Error(answer.detail);
for (const { label, score } of answer.topics) console.log(label, score.toFixed(2));
for (const { label, start, end } of answer.entities) console.log(label, text.slice(start, end), `${start}-${end}`);
