// The page's language: words, and numbers in its form.

import { de } from "./de.js";
import { en } from "./en.js";

const LANGUAGES = { de, en };
const STORED = "ressort-language";

export let language = initialLanguage();
/** The words of the current language. */
export let words = LANGUAGES[language];

/** The language chosen in this tab, else the first of the browser's that the page speaks. */
function initialLanguage() {
  const wanted = [sessionStorage.getItem(STORED), ...navigator.languages].map(tag => tag?.slice(0, 2).toLowerCase());
  return wanted.find(tag => Object.hasOwn(LANGUAGES, tag)) ?? "en";
}

export function setLanguage(tag) {
  language = tag;
  words = LANGUAGES[tag];
  sessionStorage.setItem(STORED, tag);
}

const formatted = options => value => new Intl.NumberFormat(language, options).format(value);

export const score = formatted({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
export const count = formatted({ maximumFractionDigits: 0 });
export const percent = formatted({ style: "percent", maximumFractionDigits: 0 });
export const signed = formatted({ minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero" });

export function duration(milliseconds) {
  return milliseconds < 1000 ? `${count(Math.max(1, milliseconds))} ms` : `${score(milliseconds / 1000)} s`;
}

/** Writes the words into the fixed elements of the page. */
export function translatePage() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = words[element.dataset.t];
  for (const element of document.querySelectorAll("[data-t-placeholder]")) element.placeholder = words[element.dataset.tPlaceholder];
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
}
