// The page: its form, what starts a request, and what becomes of an answer or an error.

import { RequestError, classify, loadModels, storeKey, storedKey } from "./api.js";
import { bringIntoView, byId, copyText, element } from "./dom.js";
import { examples } from "./examples.js";
import { readFile } from "./files.js";
import { ResultView } from "./result.js";
import { setUpTabs, setUpTip } from "./widgets.js";
import { count, language, score, setLanguage, translatePage, words } from "./words.js";

const RESULT_DELAY_MS = 150;

const view = new ResultView();
/** `threshold` is null until the slider is moved: then each model's own threshold applies, which keeps the mentions of a name together. */
const page = { models: [], active: {}, text: null, problem: null, allTopics: false, running: null, threshold: null };
/** The models whose passages were asked for although that takes runs, for this text. */
const explained = new Set();

/** What is asked of a model; of the active ones without a name. What the page shows of the first model only, only that is asked. */
function requestFor(name, isFirst) {
  const model = page.models.find(of => of.name === name);
  const tasks = model?.tasks ?? Object.keys(page.active);
  const named = task => page.models.find(of => of.name === (name || page.active[task]));
  const topicModel = named("topics");
  const labels = topicModel?.labels.topics ?? [];
  const request = { text: page.text };
  if (page.threshold !== null) request.threshold = { entities: page.threshold };
  if (model) request.models = Object.fromEntries(tasks.map(task => [task, name]));
  if (model && tasks.length < 2) request.tasks = tasks;
  const asked = request.tasks ?? tasks;
  // Passages of other models take runs, so they wait for a click. Single tokens, as some models give them, make no groups.
  const isFree = topicModel?.evidence === "exact";
  if (isFirst && asked.includes("topics") && (isFree || explained.has(topicModel?.name))) request.evidence = true;
  if (isFirst && asked.includes("entities") && named("entities")?.aggregation !== "none") request.group = true;
  if (page.allTopics && labels.length > 0) request.top_k = labels.length;
  if (labels.some(label => label.names?.[language])) request.label_language = language;
  return request;
}

/**
 * Asks the chosen models about the text, one after the other, so that neither slows the other down. Unless `isNew`, an answer on
 * the page to the same request stays: asked again, it would come from the cache and show the time of that.
 */
async function run(isNew = false) {
  page.running?.abort();
  const running = (page.running = new AbortController());
  byId("result").setAttribute("aria-busy", "true");
  byId("ask").classList.add("busy");
  const announced = setTimeout(() => announce(words.running), 500);
  try {
    if (!page.text.trim()) throw new RequestError("empty");
    const second = byId("second").value;
    const results = [];
    for (const name of [byId("model").value, ...(second ? [second] : [])]) {
      const request = requestFor(name, results.length === 0);
      const known = isNew ? null : view.results.find(result => JSON.stringify(result.request) === JSON.stringify(request));
      results.push(known ? { ...known, answer: known.sent } : { ...(await classify(request, running.signal)), request });
    }
    showProblem(null);
    view.show(page.text, results, page.models);
    announce(view.summary());
    if (isNew) bringIntoView(byId("facts").getBoundingClientRect());
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error);
  } finally {
    clearTimeout(announced);
    if (page.running === running) {
      byId("result").removeAttribute("aria-busy");
      byId("ask").classList.remove("busy");
    }
  }
}

/** Runs again for a text that has a result, after the last of several quick changes. */
function runAgain() {
  clearTimeout(page.again);
  if (view.results.length > 0) page.again = setTimeout(() => run(), RESULT_DELAY_MS);
}

/** Puts a text into the field and asks about it. */
function take(text) {
  byId("input").value = text;
  showLength();
  submit();
}

function submit() {
  if (page.text !== byId("input").value) view.forget();
  page.text = byId("input").value;
  page.allTopics = false;
  explained.clear();
  run(true);
}

/** Shows an error in place of the result, or removes it. */
function showProblem(error) {
  page.problem = error;
  if (!error) return byId("problem").replaceChildren();
  const known = error instanceof RequestError;
  if (!known) console.error(error);
  const needsKey = error.code === "unauthorized";
  const code = needsKey && storedKey() ? "wrong_key" : error.code;
  if (needsKey) byId("key").open = true;
  view.hide();
  const detail = known && error.detail && element("details", {}, element("summary", {}, words.technical), element("p", { lang: "en" }, `${error.code}: ${error.detail}`));
  byId("problem").replaceChildren(element("p", {}, element("strong", {}, `${words.problem}. `), words.errors[code] ?? words.errors.other), ...(detail ? [detail] : []));
}

function announce(text) {
  byId("status").textContent = text;
}

function showLength() {
  const n = [...byId("input").value].length;
  byId("length").textContent = words.length(n, count(n));
  byId("clear").hidden = n === 0;
}

/** Writes what depends on the language, except the result. */
function writeWords() {
  translatePage();
  showLength();
  showThreshold();
  byId("examples").replaceChildren(...examples.map(({ key, text }) => element("button", { type: "button", class: "small", onclick: () => take(text) }, words[key])));
  fillModels();
  if (page.problem) showProblem(page.problem);
}

/** Fills the choice of models; with one model there is nothing to choose. */
function fillModels() {
  const active = [...new Set(Object.values(page.active))].join(", ");
  const options = page.models.map(({ name }) => [name, name]);
  fill(byId("model"), [["", words.activeModels(active)], ...options]);
  fill(byId("second"), [["", words.none], ...options]);
  for (const id of ["model-choice", "second-choice"]) byId(id).hidden = page.models.length < 2;
  const names = page.models.map(({ name, version }) => `${name} ${version.slice(0, 8)}`);
  byId("served").textContent = names.length > 0 ? words.served(names.join(", ")) : "";
  showThreshold();
}

/** Shows the threshold of names: that of the slider, else that of the first chosen model that finds names. Single tokens, as some
 *  models give them, have none. */
function showThreshold() {
  const chosen = [byId("model").value || page.active.entities, byId("second").value];
  const models = chosen.map(name => page.models.find(model => model.name === name));
  const model = models.find(model => model?.tasks.includes("entities") && model.aggregation !== "none");
  const shown = page.threshold ?? model?.entity_threshold ?? 0;
  byId("threshold").value = shown;
  byId("threshold-value").textContent = score(shown);
  byId("threshold-default").hidden = page.threshold === null;
}

function setThreshold(threshold) {
  page.threshold = threshold;
  showThreshold();
  runAgain();
}

function fill(select, options) {
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  select.value = options.some(([value]) => value === chosen) ? chosen : "";
}

/** Loads what the page needs to know of the models; says whether it could. */
async function readModels() {
  try {
    const { models, active } = await loadModels();
    Object.assign(page, { models, active });
    fillModels();
    return true;
  } catch (error) {
    showProblem(error);
    return false;
  }
}

async function takeFile(file) {
  try {
    take(await readFile(file));
  } catch (error) {
    showProblem(error);
  }
}

function setUpInput() {
  const input = byId("input");
  byId("ask").addEventListener("submit", event => {
    event.preventDefault();
    submit();
    if (!page.text.trim()) input.focus();
  });
  input.addEventListener("input", showLength);
  input.addEventListener("keydown", event => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("ask").requestSubmit();
  });
  byId("clear").addEventListener("click", () => {
    input.value = "";
    page.text = null;
    page.running?.abort();
    view.hide();
    showProblem(null);
    showLength();
    announce(words.cleared);
    input.focus();
  });
  byId("open").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", event => {
    const [file] = event.target.files;
    // The same file may be chosen again.
    event.target.value = "";
    if (file) takeFile(file);
  });
  setUpDrop();
}

/** A file may be dropped anywhere on the page; dropped text is the browser's to insert. */
function setUpDrop() {
  const hasFile = event => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const over = is => byId("drop").classList.toggle("over", is);
  addEventListener("dragover", event => {
    if (!hasFile(event)) return;
    event.preventDefault();
    over(true);
  });
  addEventListener("dragleave", event => event.relatedTarget ?? over(false));
  addEventListener("drop", event => {
    over(false);
    if (!hasFile(event)) return;
    event.preventDefault();
    takeFile(event.dataTransfer.files[0]);
  });
}

function setUpKey() {
  byId("key-field").value = storedKey();
  byId("key-form").addEventListener("submit", event => {
    event.preventDefault();
    useKey(byId("key-field").value.trim(), words.keyStored);
  });
  byId("key-forget").addEventListener("click", () => {
    byId("key-field").value = "";
    useKey("", words.keyForgotten);
  });
}

/** Keeps a key, reads the models with it, and answers what waited for it. */
async function useKey(key, said) {
  storeKey(key);
  announce(said);
  if (!(await readModels())) return;
  byId("key").open = false;
  byId("key").querySelector("summary").focus();
  showProblem(null);
  if (page.text) run();
}

function setUpResult() {
  byId("threshold").addEventListener("input", event => setThreshold(Number(event.target.value)));
  byId("threshold-default").addEventListener("click", () => {
    setThreshold(null);
    // The button is gone, so the focus goes to what it has reset.
    byId("threshold").focus();
  });
  for (const id of ["model", "second"]) {
    byId(id).addEventListener("change", () => {
      showThreshold();
      runAgain();
    });
  }
  byId("all-topics").addEventListener("click", () => {
    page.allTopics = !page.allTopics;
    run();
  });
  byId("explain").addEventListener("click", async () => {
    explained.add(view.results[0].model?.name);
    await run();
    // The button is gone, so the focus goes to what it has brought.
    byId("topics").querySelector("button")?.focus();
  });
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      setLanguage(button.dataset.language);
      writeWords();
      view.render();
      runAgain();
    });
  }
  byId("copy").addEventListener("click", async event => {
    const button = event.currentTarget;
    const copied = await copyText(byId("code").textContent).then(() => true, () => false);
    if (!copied) getSelection().selectAllChildren(byId("code"));
    button.textContent = copied ? words.copied : words.copy;
    announce(copied ? words.copied : words.copyFailed);
    setTimeout(() => (button.textContent = words.copy), 2000);
  });
  setUpTabs(byId("tabs"), () => view.renderCall());
  setUpTip(byId("texts"), byId("tip"), mark => view.entityOf(mark));
}

setUpInput();
setUpKey();
setUpResult();
writeWords();
await readModels();
