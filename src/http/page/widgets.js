// Tabs, and the note that a name shows under the pointer and with the focus.

import { element } from "./dom.js";
import { meaning } from "./labels.js";
import { score, words } from "./words.js";

/** Tabs as the ARIA practices describe them: one stop for Tab, arrow keys between them. */
export function setUpTabs(list, onChoose) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const choose = tab => {
    for (const other of tabs) {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
    }
    onChoose();
  };
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", event => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const other = tabs[to % tabs.length];
      choose(other);
      other.focus();
    });
  }
}

/** Shows `tip` with label, meaning and score for the name that is pointed at or has the focus. Escape hides it. */
export function setUpTip(area, tip, entityOf) {
  let mark = null;
  const hide = () => (tip.hidden = true);
  const show = event => {
    mark = event.target.closest?.(".entity:not(.off)");
    const found = mark && entityOf(mark);
    if (!found) return hide();
    const { entity, model } = found;
    const means = meaning(model, entity.label);
    tip.replaceChildren(
      element("span", { class: "tip-head" }, element("strong", {}, entity.label), element("span", {}, `${words.score} ${score(entity.score)}`)),
      element("span", { class: "bar", style: { "--score": entity.score, "--threshold": 0 } }),
      ...(means ? [element("span", { class: "tip-meaning" }, means)] : []),
    );
    tip.hidden = false;
    place(tip, mark);
  };
  area.addEventListener("pointerover", show);
  area.addEventListener("pointerleave", hide);
  area.addEventListener("focusin", show);
  area.addEventListener("focusout", hide);
  addEventListener("scroll", () => tip.hidden || place(tip, mark), { passive: true });
  addEventListener("keydown", event => event.key === "Escape" && hide());
}

/** Above the first line of the name where there is space, else below it. */
function place(tip, mark) {
  const [line] = mark.getClientRects();
  const { width, height } = tip.getBoundingClientRect();
  const gap = 6;
  const left = Math.min(Math.max(gap, line.left), document.documentElement.clientWidth - width - gap);
  const top = line.top - height - gap >= 0 ? line.top - height - gap : line.bottom + gap;
  tip.style.setProperty("left", `${left}px`);
  tip.style.setProperty("top", `${top}px`);
}
