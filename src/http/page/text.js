// A text with its entities marked in place, and the passages of a topic highlighted.

import { bringIntoView, element } from "./dom.js";
import { isDerived } from "./labels.js";
import { readingParts } from "./reading.js";

/** Strengths in which passages are highlighted, as result.css names them. */
const STRENGTHS = ["passage-weak", "passage-medium", "passage-strong"];

/** One text in the result. */
export class MarkedText {
  /** `nameOf(entity)` is how a screen reader reads it, `colourOf(label)` the number of its colour. */
  constructor(text, entities, { nameOf, colourOf, differing, title }) {
    this.text = text;
    this.nameOf = nameOf;
    this.parts = readingParts(text);
    this.nodes = [];
    this.marks = new Map();
    const html = this.parts.length > 1;
    this.body = element("div", { class: html ? "text html" : "text", role: "group", "aria-label": title });
    let end = 0;
    let next = 0;
    for (const entity of entities) {
      if (entity.start < end) continue;
      next = this.fill(this.body, end, entity.start, next);
      const mark = element("span", {
        class: ["entity", `colour-${colourOf(entity.label)}`, isDerived(entity.label) && "derived", differing.has(entity) && "differing"].filter(Boolean).join(" "),
        role: "button", tabindex: this.marks.size === 0 ? "0" : "-1", "aria-label": nameOf(entity), "data-label": entity.label,
      });
      next = this.fill(mark, entity.start, entity.end, next);
      this.marks.set(mark, entity);
      this.body.append(mark);
      end = entity.end;
    }
    this.fill(this.body, end, text.length, next);
    this.body.addEventListener("keydown", event => this.move(event));
  }

  /** Appends what is shown of a stretch, from the part `next` on; returns the part where the following stretch begins. */
  fill(parent, start, end, next) {
    let index = next;
    for (; index < this.parts.length; index++) {
      const part = this.parts[index];
      if (part.start >= end && end < this.text.length) break;
      const [from, to] = [Math.max(start, part.start), Math.min(end, part.end)];
      const isReplaced = part.shown !== undefined;
      const shown = isReplaced ? (part.start >= start ? part.shown : "") : this.text.slice(from, to);
      if (shown) {
        const node = document.createTextNode(shown);
        this.nodes.push({ start: from, end: to, node, isReplaced });
        parent.append(node);
      }
      if (part.end > end) break;
    }
    return Math.min(index, this.parts.length - 1);
  }

  /** The range in the page of a stretch of the text. */
  range(start, end) {
    const inside = this.nodes.filter(node => node.start < end && node.end > start);
    if (inside.length === 0) return null;
    const range = document.createRange();
    const [first, last] = [inside[0], inside.at(-1)];
    range.setStart(first.node, first.isReplaced ? 0 : Math.max(0, start - first.start));
    range.setEnd(last.node, last.isReplaced ? last.node.length : Math.min(last.node.length, end - last.start));
    return range;
  }

  /** Arrow keys go from name to name, so that Tab needs one stop for the whole text. */
  move(event) {
    const marks = [...this.marks.keys()].filter(mark => !mark.classList.contains("off"));
    const at = marks.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: marks.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const mark = marks[Math.min(Math.max(to, 0), marks.length - 1)];
    this.makeStop(mark);
    mark.focus();
  }

  /** Makes `mark` the one that Tab reaches. */
  makeStop(mark) {
    for (const other of this.marks.keys()) {
      if (!other.classList.contains("off")) other.tabIndex = other === mark ? 0 : -1;
    }
  }

  /** Shows the entities for which `isOn` is true as names, the others as plain text, also for screen readers. */
  filter(isOn, isDimmed) {
    const on = [];
    for (const [mark, entity] of this.marks) {
      const isName = isOn(entity);
      mark.classList.toggle("off", !isName);
      mark.classList.toggle("dimmed", isName && isDimmed(entity));
      const attributes = { role: "button", "aria-label": this.nameOf(entity), tabindex: mark.getAttribute("tabindex") ?? "-1" };
      for (const [name, value] of Object.entries(attributes)) {
        if (isName) mark.setAttribute(name, value);
        else mark.removeAttribute(name);
      }
      if (isName) on.push(mark);
    }
    if (on.length > 0) this.makeStop(on.find(mark => mark.tabIndex === 0) ?? on[0]);
  }

  markOf(entity) {
    return [...this.marks].find(([, other]) => other.start === entity.start && other.end === entity.end)?.[0];
  }
}

/** Highlights passages in all texts, the stronger the more they contribute; `[]` removes the highlights. */
export function highlightPassages(texts, passages) {
  if (!window.CSS?.highlights || !window.Highlight) return;
  const most = Math.max(...passages.map(passage => passage.contribution), 0);
  STRENGTHS.forEach((name, strength) => {
    const isOf = ({ contribution }) => contribution > 0 && Math.min(2, Math.floor((3 * contribution) / most)) === strength;
    const ranges = texts.flatMap(text => passages.filter(isOf).map(({ start, end }) => text.range(start, end))).filter(Boolean);
    if (ranges.length > 0) CSS.highlights.set(name, new Highlight(...ranges));
    else CSS.highlights.delete(name);
  });
}

export function showPassage(text, { start, end }) {
  const range = text.range(start, end);
  if (range) bringIntoView(range.getBoundingClientRect());
}
