// Finds and makes elements. Text is always set as text, never as HTML.

export const byId = id => document.getElementById(id);

/** An element with attributes, listeners (`onclick`), custom properties (`style`) and children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    // Through the style object: the page's policy refuses style attributes.
    else if (name === "style") Object.entries(value).forEach(([key, of]) => made.style.setProperty(key, of));
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined && child !== false));
  return made;
}

/** Scrolls so that what `box` surrounds is in the upper half of the window, unless it can be seen. */
export function bringIntoView(box) {
  const margin = 80;
  if (box.top >= margin && box.bottom <= window.innerHeight - margin) return;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  window.scrollBy({ top: box.top - window.innerHeight / 3, behavior: calm ? "auto" : "smooth" });
}

/** Copies text. The clipboard's interface exists on secure pages only, so that plain HTTP needs the old command. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = element("textarea", { class: "hidden", "aria-hidden": "true" });
    const focused = document.activeElement;
    field.value = text;
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    focused?.focus();
    if (!copied) throw new Error("nothing was copied");
  }
}
