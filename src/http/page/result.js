// The result on the page: facts, topics, the text with its names, groups, legend, differences, calls.

import { bringIntoView, byId, element } from "./dom.js";
import { colouredJson, curlCall, prettyJson, pythonCall } from "./calls.js";
import { labelColours, meaning, topicName } from "./labels.js";
import { differenceRow, differencesOf, groupRow, groupsOf, labelCounts, legendRow } from "./names.js";
import { inUtf16 } from "./offsets.js";
import { MarkedText, highlightPassages, showPassage } from "./text.js";
import { keyOf, topicRows } from "./topics.js";
import { count, duration, score, words } from "./words.js";

const MAX_GROUPS = 12;

export class ResultView {
  constructor() {
    this.results = [];
    this.texts = [];
    this.colourOf = () => 7;
    this.forget();
  }

  /** Forgets what was chosen in the last text. */
  forget() {
    this.openTopic = null;
    this.chosen = null;
    this.mention = 0;
    this.hiddenLabels = new Set();
    this.allGroups = false;
  }

  hide() {
    this.results = [];
    this.texts = [];
    highlightPassages([], []);
    byId("result").hidden = true;
  }

  /** Shows the results of one or two models for `text`: each with `answer`, `milliseconds`, `request`. */
  show(text, results, models) {
    this.text = text;
    this.colourOf = labelColours(models);
    this.results = results.map(result => {
      const named = task => models.find(model => model.name === result.answer.models[task]?.name);
      return { ...result, sent: result.answer, answer: inUtf16(text, result.answer), model: named("topics"), entityModel: named("entities") };
    });
    this.render();
    byId("result").hidden = false;
  }

  /** Writes everything again, in the current language. */
  render() {
    if (this.results.length === 0) return;
    byId("result").classList.toggle("comparing", this.results.length > 1);
    this.renderFacts();
    this.renderTopics();
    this.renderNames();
    this.renderCall();
  }

  /** What a screen reader says when a result is there. */
  summary() {
    const { answer, model } = this.results[0];
    const topics = (answer.topics ?? []).filter(topic => topic.accepted).map(topic => topicName(model, topic.label));
    const n = (answer.entities ?? []).length;
    return words.found(topics.join("; "), words.mentions(n, count(n)));
  }

  renderFacts() {
    const facts = this.results.map(({ sent, milliseconds }) => {
      const { usage, models } = sent;
      const names = [...new Set(Object.values(models).map(model => `${model.name} ${model.version.slice(0, 8)}`))];
      const size = [words.characters(usage.characters, count(usage.characters)), words.tokens(usage.tokens, count(usage.tokens)), words.windows(usage.windows, count(usage.windows))];
      if (usage.truncated) size.push(words.truncated);
      const time = usage.cached ? `${duration(milliseconds)}, ${words.cached}` : duration(milliseconds);
      return [[words.model, names.join(", ")], [words.time, time], [words.size, size.join(" · ")]];
    });
    const pair = ([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value));
    byId("facts").replaceChildren(...facts.flatMap(group => group.map(pair)));
  }

  renderTopics() {
    const results = this.results.filter(({ answer }) => answer.topics);
    byId("topics-part").hidden = results.length === 0;
    if (results.length === 0) return;
    const [{ answer, model }] = results;
    const rows = topicRows(results, key => key === this.openTopic, {
      onOpen: (key, evidence, isOpen) => this.choosePassages(key, evidence, isOpen),
      onPassage: passage => this.texts[0] && showPassage(this.texts[0], passage),
    });
    byId("topics").replaceChildren(...rows);
    const hasEvidence = answer.topics.some(topic => topic.evidence);
    byId("topics-note").textContent = answer.topics.length === 0 ? words.noTopics : hasEvidence ? words.topicsNote : words.topicsNotePlain;
    const explain = byId("explain");
    explain.hidden = hasEvidence || model?.evidence !== "occlusion" || !answer.topics.some(topic => topic.accepted);
    explain.textContent = words.explain;
    const n = model?.labels.topics?.length ?? 0;
    const isAll = results[0].request.top_k !== undefined;
    const all = byId("all-topics");
    all.hidden = !isAll && n <= answer.topics.length;
    all.setAttribute("aria-pressed", String(isAll));
    all.textContent = isAll ? words.someTopics : words.allTopics(count(n));
  }

  choosePassages(key, evidence, isOpen) {
    this.openTopic = isOpen ? key : null;
    highlightPassages(this.texts, isOpen ? evidence : []);
  }

  renderNames() {
    const results = this.results.filter(({ answer }) => answer.entities);
    byId("names-part").classList.toggle("plain", results.length === 0);
    const lists = results.map(({ answer }) => answer.entities);
    const differences = lists.length > 1 ? differencesOf(...lists) : [];
    const differing = new Set(differences.flat().filter(Boolean));
    this.texts = (results.length > 0 ? results : this.results.slice(0, 1)).map(({ answer, entityModel }) => new MarkedText(this.text, answer.entities ?? [], {
      nameOf: entity => this.nameOf(entity, entityModel, differing),
      colourOf: this.colourOf, differing, title: words.reading,
    }));
    const titled = (text, index) => element("div", { class: "column" }, results.length > 1 && element("h4", {}, results[index].entityModel?.name ?? ""), text.body);
    byId("texts").replaceChildren(...this.texts.map(titled));
    for (const text of this.texts) text.body.addEventListener("click", event => this.chooseGroupOf(event));
    for (const text of this.texts) text.body.addEventListener("keydown", event => this.chooseByKey(event));
    byId("differences-part").hidden = lists.length < 2;
    byId("differences-title").textContent = words.differences(differences.length, count(differences.length));
    const names = results.map(({ entityModel }) => entityModel?.name ?? "");
    byId("differences").replaceChildren(...differences.map(pair => differenceRow(pair, names, { colourOf: this.colourOf, onShow: of => this.showPair(of) })));
    if (results.length > 0) this.renderGroups(results[0]);
    this.filter();
    this.highlightOpenTopic();
  }

  highlightOpenTopic() {
    const [{ answer, model }] = this.results;
    highlightPassages(this.texts, answer.topics?.find(topic => keyOf(model, topic) === this.openTopic)?.evidence ?? []);
  }

  /** How a screen reader reads an entity. */
  nameOf(entity, model, differing) {
    const means = meaning(model, entity.label);
    const parts = [entity.text.replace(/<[^>]*>|\s+/g, " ").trim(), means ? `${entity.label}: ${means}` : entity.label, `${words.score} ${score(entity.score)}`];
    if (differing.has(entity)) parts.push(words.differs);
    return parts.join(", ");
  }

  renderGroups({ answer, entityModel }) {
    const n = answer.entities.length;
    byId("names-count").textContent = words.namesCount(n, count(n));
    this.groups = groupsOf(answer);
    byId("groups-note").hidden = !answer.groups;
    if (!this.groups.some(group => keyOfGroup(group) === this.chosen)) this.chosen = null;
    const legend = labelCounts(answer.entities, entityModel).map(([label, of]) =>
      legendRow(label, of, { model: entityModel, colourOf: this.colourOf, isShown: !this.hiddenLabels.has(label), onToggle: event => this.toggleLabel(label, event.currentTarget) }));
    byId("legend").replaceChildren(...legend);
    this.renderGroupRows();
  }

  renderGroupRows() {
    const shown = this.allGroups ? this.groups : this.groups.slice(0, MAX_GROUPS);
    const rows = shown.map(group => {
      const isChosen = keyOfGroup(group) === this.chosen;
      const row = groupRow(group, {
        colourOf: this.colourOf, isChosen,
        onChoose: () => this.chooseGroup(group),
        onNext: () => this.showMention(group, this.mention + 1),
      });
      if (isChosen) row.showPosition(this.mention % group.entities.length + 1);
      row.group = group;
      return row;
    });
    if (this.groups.length > shown.length) {
      const more = () => {
        this.allGroups = true;
        this.renderGroupRows();
        byId("groups").children[MAX_GROUPS]?.querySelector("button")?.focus();
      };
      rows.push(element("li", {}, element("button", { type: "button", class: "small quiet", onclick: more }, words.allGroups(count(this.groups.length)))));
    }
    const { request, entityModel } = this.results[0];
    const hasThreshold = (request.threshold?.entities ?? entityModel?.entity_threshold ?? 0) > 0;
    if (this.groups.length === 0) rows.push(element("li", { class: "note" }, hasThreshold ? words.noNames : words.noNamesAtAll));
    byId("groups").replaceChildren(...rows);
  }

  /** Shows only the mentions of a group and goes to the first; a second time, shows all names again. */
  chooseGroup(group) {
    const key = keyOfGroup(group);
    const isChosen = this.chosen === key;
    this.chosen = isChosen ? null : key;
    this.mention = 0;
    this.renderGroupRows();
    // The rows are new, so the focus is set again.
    [...byId("groups").children].find(row => row.group === group)?.querySelector(".group").focus({ preventScroll: true });
    this.filter();
    if (!isChosen) this.showMention(group, 0);
  }

  showMention(group, index) {
    this.mention = index % group.entities.length;
    const entity = group.entities[this.mention];
    for (const text of this.texts) {
      for (const mark of text.marks.keys()) mark.classList.remove("current");
      text.markOf(entity)?.classList.add("current");
    }
    const mark = this.texts[0].markOf(entity);
    if (mark) {
      this.texts[0].makeStop(mark);
      bringIntoView(mark.getBoundingClientRect());
    }
    [...byId("groups").children].find(row => row.group === group)?.showPosition(this.mention + 1);
  }

  chooseGroupOf(event) {
    const mark = event.target.closest(".entity:not(.off)");
    const text = this.texts.find(of => of.marks.has(mark));
    if (!text) return;
    const entity = text.marks.get(mark);
    const group = this.groups.find(of => of.entities.some(other => other.start === entity.start && other.label === entity.label));
    if (!group) return;
    const isChosen = this.chosen === keyOfGroup(group);
    this.chosen = isChosen ? null : keyOfGroup(group);
    this.mention = group.entities.findIndex(other => other.start === entity.start);
    if (this.groups.indexOf(group) >= MAX_GROUPS) this.allGroups = true;
    this.renderGroupRows();
    this.filter();
  }

  chooseByKey(event) {
    if (event.key !== "Enter" && event.key !== " ") return;
    if (!event.target.matches(".entity")) return;
    event.preventDefault();
    this.chooseGroupOf(event);
  }

  toggleLabel(label, button) {
    const isShown = this.hiddenLabels.has(label);
    if (isShown) this.hiddenLabels.delete(label);
    else this.hiddenLabels.add(label);
    button.setAttribute("aria-pressed", String(isShown));
    this.filter();
  }

  /** Applies legend and chosen group to the texts. */
  filter() {
    const group = this.groups?.find(of => keyOfGroup(of) === this.chosen);
    const spans = new Set(group?.entities.map(entity => `${entity.start} ${entity.end}`));
    for (const text of this.texts) {
      text.filter(entity => !this.hiddenLabels.has(entity.label), entity => Boolean(group) && !spans.has(`${entity.start} ${entity.end}`));
      if (!group) for (const mark of text.marks.keys()) mark.classList.remove("current");
    }
  }

  showPair(pair) {
    const marks = this.texts.map((text, index) => pair[index] && text.markOf(pair[index]));
    for (const text of this.texts) for (const mark of text.marks.keys()) mark.classList.toggle("current", marks.includes(mark));
    const mark = marks.find(Boolean);
    if (mark) bringIntoView(mark.getBoundingClientRect());
  }

  /** The entity of a mark under the pointer or with the focus, and its model. */
  entityOf(mark) {
    const index = this.texts.findIndex(text => text.marks.has(mark));
    if (index < 0) return null;
    return { entity: this.texts[index].marks.get(mark), model: this.results.filter(({ answer }) => answer.entities)[index]?.entityModel };
  }

  /** The text of the tab that is open: the answer, or a call. */
  renderCall() {
    const { sent, request } = this.results[0];
    const tab = byId("tabs").querySelector("[aria-selected=true]").id;
    const code = { "tab-json": () => prettyJson(sent), "tab-curl": () => curlCall(request), "tab-python": () => pythonCall(request) }[tab]();
    byId("code").replaceChildren(...(tab === "tab-json" ? colouredJson(code) : [code]));
    for (const id of ["panel", "code"]) byId(id).setAttribute("aria-labelledby", tab);
  }
}

const keyOfGroup = group => `${group.label} ${group.name}`;
