// What the loaded models say of their labels: colours, meanings, names in other languages.

import { language } from "./words.js";

const N_COLOURS = 8;
const FIXED = { PER: 0, LOC: 1, ORG: 2, OTH: 3, MISC: 3, PERSON: 0, GPE: 1, LOCATION: 1, ORGANIZATION: 2 };

/** The label without the ending for words that are derived from a name: `LOCderiv` is `LOC`. */
export const baseLabel = label => label.replace(/(deriv|part)$/, "");
export const isDerived = label => label !== baseLabel(label);

/** The label that a tag of a token stands for: `B-LOC` is `LOC`. */
const typeOf = tag => tag.replace(/^[BIESLU]-/, "");

/** A colour for each kind of entity: that of its kind, else the next free one. */
export function labelColours(models) {
  const colours = new Map();
  const bases = new Set(models.flatMap(model => model.labels.entities ?? []).map(baseLabel));
  const free = [...Array(N_COLOURS).keys()].filter(colour => ![...bases].some(base => FIXED[base] === colour));
  let next = 0;
  for (const base of bases) colours.set(base, FIXED[base] ?? free[next++ % Math.max(1, free.length)] ?? 0);
  return label => colours.get(baseLabel(label)) ?? colours.get(baseLabel(typeOf(label))) ?? 7;
}

/** The meaning of a label in the page's language, where a model tells it. */
export function meaning(model, label) {
  const descriptions = model?.label_descriptions?.[label] ?? model?.label_descriptions?.[typeOf(label)];
  return descriptions?.[language] ?? descriptions?.en ?? descriptions?.de ?? "";
}

/** What `/v1/models` says of a topic that an answer names in any language. */
export function topicEntry(model, label) {
  return model?.labels.topics?.find(entry => entry.label === label || Object.values(entry.names ?? {}).includes(label));
}

export function topicName(model, label) {
  const entry = topicEntry(model, label);
  return entry?.names?.[language] ?? entry?.label ?? label;
}
