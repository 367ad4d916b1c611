// Names: groups of mentions with counts, the legend, and the differences between two models.

import { element } from "./dom.js";
import { baseLabel, isDerived, meaning } from "./labels.js";
import { count, percent, score, words } from "./words.js";

/** The groups of an answer, each with its entities. Without groups, entities of one label and text belong together. */
export function groupsOf(answer) {
  const entities = answer.entities ?? [];
  if (answer.groups) return answer.groups.map(group => ({ ...group, entities: group.mentions.map(mention => entities[mention]) }));
  const groups = new Map();
  for (const entity of entities) {
    const key = `${entity.label} ${entity.text}`;
    if (!groups.has(key)) groups.set(key, { name: entity.text, label: entity.label, entities: [] });
    groups.get(key).entities.push(entity);
  }
  return [...groups.values()];
}

/** A group as a row: a button that filters, and while it does one that goes to the next mention. */
export function groupRow(group, { colourOf, isChosen, onChoose, onNext }) {
  const n = group.entities.length;
  const position = element("span", { class: "position" });
  const name = element("button", { type: "button", class: "group", "aria-pressed": String(isChosen), onclick: onChoose },
    element("span", { class: "group-name", lang: "de" }, group.name),
    element("span", { class: `tag colour-${colourOf(group.label)}${isDerived(group.label) ? " derived" : ""}` }, group.label),
    element("span", { class: "count", "aria-hidden": "true" }, count(n)),
    element("span", { class: "hidden" }, `, ${words.mentions(n, count(n))}`),
    group.salience !== undefined && element("span", { class: "salience", title: words.salience }, element("span", { class: "hidden" }, `, ${words.salience} `), percent(group.salience)));
  const next = n > 1 && isChosen && element("button", { type: "button", class: "small next", onclick: onNext }, position, element("span", { class: "hidden" }, `, ${words.nextMention}`));
  const row = element("li", {}, name, next);
  row.showPosition = at => (position.textContent = words.mentionOf(count(at), count(n)));
  return row;
}

/** A label as a row of the legend: a button that shows or hides its names, with its meaning and number. */
export function legendRow(label, n, { model, colourOf, isShown, onToggle }) {
  const tag = element("span", { class: `tag colour-${colourOf(label)}${isDerived(label) ? " derived" : ""}` }, label);
  const number = [element("span", { class: "hidden" }, ", "), element("span", { class: "count" }, count(n))];
  const row = { type: "button", class: "legend-row", "aria-pressed": String(isShown), onclick: onToggle, title: words.showLabel };
  return element("li", {}, element("button", row, tag, element("span", { class: "hidden" }, ": "), element("span", { class: "meaning" }, meaning(model, label)), ...number));
}

/** Labels in the order of the model, those of one kind together, each with its number of entities. */
export function labelCounts(entities, model) {
  const counts = new Map();
  for (const { label } of entities) counts.set(label, (counts.get(label) ?? 0) + 1);
  const order = model?.labels.entities ?? [];
  const rank = label => [order.findIndex(other => baseLabel(other) === baseLabel(label)), order.indexOf(label)];
  return [...counts].sort(([a], [b]) => rank(a)[0] - rank(b)[0] || rank(a)[1] - rank(b)[1]);
}

/** Where two models differ: pairs of entities that overlap but are not equal, and entities of one alone. */
export function differencesOf(first, second) {
  const same = (a, b) => a.start === b.start && a.end === b.end && a.label === b.label;
  const only = (these, others) => these.filter(entity => !others.some(other => same(entity, other)));
  const [left, right] = [only(first, second), only(second, first)];
  const taken = new Set();
  const pairs = left.map(entity => {
    const partner = right.find(other => !taken.has(other) && other.start < entity.end && entity.start < other.end);
    if (partner) taken.add(partner);
    return [entity, partner];
  });
  const rest = right.filter(entity => !taken.has(entity)).map(entity => [undefined, entity]);
  return [...pairs, ...rest].sort(([a, b], [c, d]) => (a ?? b).start - (c ?? d).start);
}

export function differenceRow(pair, names, { colourOf, onShow }) {
  const side = (entity, index) => element("span", { class: "side" }, element("span", { class: "bar-model" }, names[index], element("span", { class: "hidden" }, ": ")),
    entity ? element("span", { lang: "de" }, entity.text, " ") : element("span", { class: "note" }, words.nothing),
    entity && element("span", { class: `tag colour-${colourOf(entity.label)}${isDerived(entity.label) ? " derived" : ""}` }, entity.label),
    entity && element("span", { class: "score" }, " ", score(entity.score)));
  return element("li", {}, element("button", { type: "button", class: "difference", onclick: () => onShow(pair) }, ...pair.map(side)));
}
