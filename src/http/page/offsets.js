// The API counts code points, JavaScript UTF-16 units.

/** The position in UTF-16 of each code point of `text`, and of its end. */
function utf16Positions(text) {
  const positions = [];
  let position = 0;
  for (const character of text) {
    positions.push(position);
    position += character.length;
  }
  positions.push(position);
  return positions;
}

/** The answer with offsets in UTF-16: `entities` and the passages in `evidence`. */
export function inUtf16(text, answer) {
  const positions = utf16Positions(text);
  const span = of => ({ ...of, start: positions[of.start] ?? text.length, end: positions[of.end] ?? text.length });
  const topics = answer.topics?.map(topic => ({ ...topic, evidence: topic.evidence?.map(span) }));
  return { ...answer, topics, entities: answer.entities?.map(span) };
}
