// Topics as bars with their thresholds, and on a click the passages that carry a topic.

import { element } from "./dom.js";
import { meaning, topicEntry, topicName } from "./labels.js";
import { score, signed, words } from "./words.js";

const MAX_PASSAGES = 5;

/** The rows of the list. `results` are those of one or two models; `onOpen(topic, isOpen)` and `onPassage(passage)` are told. */
export function topicRows(results, isOpen, { onOpen, onPassage }) {
  const [first, second] = results;
  const labels = [...new Set(results.flatMap(({ answer, model }) => (answer.topics ?? []).map(topic => keyOf(model, topic))))];
  const panels = [];
  return labels.map((key, index) => {
    const found = results.map(({ answer, model }) => ({ model, topic: answer.topics?.find(topic => keyOf(model, topic) === key) }));
    const known = found.find(({ topic }) => topic);
    const name = topicName(known.model, known.topic.label);
    const evidence = first.answer.topics?.find(topic => keyOf(first.model, topic) === key)?.evidence;
    const differs = second && found[0].topic?.accepted !== found[1].topic?.accepted && (found[0].topic?.accepted || found[1].topic?.accepted);
    const row = element("li", { class: found.some(({ topic }) => topic?.accepted) ? "topic accepted" : "topic" });
    const title = element("span", { class: "topic-name" }, name);
    const bars = element("span", { class: "bars" }, ...found.map(of => bar(of, results.length > 1)));
    if (evidence) {
      const id = `passages-${index}`;
      const panel = passagesOf(id, name, evidence, onPassage);
      const button = element("button", { type: "button", class: "topic-row", "aria-expanded": "false", "aria-controls": id, title: meaning(known.model, known.topic.label) || null }, title, bars);
      const open = shown => {
        button.setAttribute("aria-expanded", String(shown));
        panel.hidden = !shown;
      };
      open(isOpen(key));
      panels.push(open);
      button.addEventListener("click", () => {
        const shown = panel.hidden;
        // One topic is open at a time, since the text shows the passages of one.
        panels.forEach(of => of(false));
        open(shown);
        onOpen(key, evidence, shown);
      });
      row.append(button, panel);
    } else {
      row.append(element("div", { class: "topic-row", title: meaning(known.model, known.topic.label) || null }, title, bars));
    }
    if (differs) {
      const only = found.find(({ topic }) => topic?.accepted).model.name;
      row.append(element("p", { class: "differs" }, words.acceptedOnlyBy(only)));
    }
    return row;
  });
}

/** The same for a topic in every language and model. */
export function keyOf(model, topic) {
  return topic.code ?? topicEntry(model, topic.label)?.label ?? topic.label;
}

/** The bar of one model: the score, and a line at the threshold. */
function bar({ model, topic }, isNamed) {
  if (!topic) return element("span", { class: "bar-row" }, isNamed && element("span", { class: "bar-model" }, model.name), element("span", { class: "score" }, "–"));
  const threshold = topicEntry(model, topic.label)?.threshold;
  const verdict = `${topic.accepted ? words.accepted : words.rejected}${threshold === undefined ? "" : `, ${words.thresholdIs(score(threshold))}`}`;
  return element(
    "span",
    { class: topic.accepted ? "bar-row accepted" : "bar-row" },
    isNamed && element("span", { class: "bar-model" }, model.name),
    element("span", { class: "hidden" }, ": "),
    element("span", { class: "score" }, score(topic.score)),
    element("span", { class: "bar", "aria-hidden": "true", style: { "--score": topic.score, "--threshold": threshold ?? 0 } }, threshold !== undefined && element("span", { class: "mark" })),
    element("span", { class: "verdict" }, element("span", { class: "hidden" }, ", "), verdict),
  );
}

function passagesOf(id, name, evidence, onPassage) {
  const passages = evidence.slice(0, MAX_PASSAGES);
  const most = Math.max(...passages.map(passage => passage.contribution), 0.01);
  const item = passage =>
    element(
      "li",
      { style: { "--share": Math.max(0, passage.contribution / most) } },
      element("button", { type: "button", class: "passage", title: words.jumpToPassage, onclick: () => onPassage(passage) }, passage.text.trim()),
      element("span", { class: "contribution" }, element("span", { class: "hidden" }, `${words.contribution} `), signed(passage.contribution)),
    );
  const content = passages.length > 0 ? element("ol", { lang: "de" }, ...passages.map(item)) : element("p", {}, words.noEvidence);
  return element("div", { id, class: "passages", role: "group", "aria-label": words.evidence(name), hidden: true }, content);
}
