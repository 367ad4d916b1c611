// What the page shows and does, with the models that ship.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { example, launch, models, openPage, result, root, serve } from "./support.js";

let browser, server;
before(async () => ([browser, server] = await Promise.all([launch(), serve(models)])));
after(() => Promise.all([browser?.close(), server?.stop()]));

const texts = (page, selector) => page.locator(selector).allTextContents();
/** The threshold that the model in use has for names. */
const entityThreshold = async () => {
  const { models } = await (await fetch(`${server.url}/v1/models`)).json();
  return models[0].entity_threshold;
};

/** The threshold that the model in use has for a topic. */
const threshold = async label => {
  const { models } = await (await fetch(`${server.url}/v1/models`)).json();
  return models[0].labels.topics.find(topic => topic.label === label).threshold.toFixed(2);
};
const code = page => page.locator("#code").textContent();

test("an example shows topics, names and numbers in German", async () => {
  const { page, check } = await openPage(browser, server.url);
  await example(page, 0);
  assert.equal(await page.locator("html").getAttribute("lang"), "de");
  const topics = await texts(page, ".topic.accepted .topic-name");
  assert.ok(topics.includes("Politik"), topics);
  assert.match(await page.locator(".topic").first().textContent(), new RegExp(`Politik: 0,\\d\\d, gilt, Schwelle ${(await threshold("Politik")).replace(".", ",")}`));
  const facts = await texts(page, "#facts dd");
  assert.match(facts[0], /^ressort [0-9a-f]{8}$/);
  assert.match(facts[1], /^(\d+ ms|\d+,\d\d s)$/);
  assert.match(facts[2], /^1\.\d{3} Zeichen · \d+ Token · \d+ Fenster$/);
  // The text on the page is the text that was sent, without the labels.
  const shown = await page.locator("#texts .text").textContent();
  assert.equal(shown, await page.locator("#input").inputValue());
  assert.ok((await texts(page, ".entity")).includes("Katharina Brandt"));
  assert.match(await page.locator("#status").textContent(), /^Ergebnis\. Themen: Politik.*\d+ Fundstellen\.$/);
  await example(page, 1);
  assert.ok((await texts(page, ".topic.accepted .topic-name")).includes("Sport"));
  await check();
});

test("the language follows the browser, can be switched, and stays in the tab", async () => {
  const { page, check } = await openPage(browser, server.url, { locale: "en-GB" });
  await example(page, 0);
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  assert.match(await page.locator(".topic").first().textContent(), new RegExp(`politics and government: 0\\.\\d\\d, accepted, threshold ${await threshold("Politik")}`));
  assert.match((await texts(page, "#facts dd"))[2], /^1,\d{3} characters/);
  await page.getByRole("button", { name: "Deutsch", exact: true }).click();
  await page.waitForFunction(() => document.querySelector(".topic").textContent.includes("Politik: 0,"));
  await page.reload();
  assert.equal(await page.locator("html").getAttribute("lang"), "de");
  assert.equal(await page.locator("#submit span").textContent(), "Analysieren");
  await check();
});

test("a language that the page does not speak gets English", async () => {
  const { page, check } = await openPage(browser, server.url, { locale: "fr-FR" });
  assert.equal(await page.locator("#submit span").textContent(), "Analyse");
  await check();
});

test("score and meaning of a name show under the pointer and with the focus", async () => {
  const { page, check } = await openPage(browser, server.url);
  await example(page, 0);
  const name = page.locator(".entity", { hasText: "Katharina Brandt" });
  await name.hover();
  assert.match(await page.locator("#tip").textContent(), /^PERScore (0,\d\d|1,00)/);
  await page.mouse.move(0, 0);
  assert.ok(await page.locator("#tip").isHidden());
  await name.focus();
  assert.ok(await page.locator("#tip").isVisible());
  await page.keyboard.press("Escape");
  assert.ok(await page.locator("#tip").isHidden());
  assert.match(await name.getAttribute("aria-label"), /^Katharina Brandt, PER.*, Score (0,\d\d|1,00)$/);
  await check();
});

test("the minimum score filters names, and the answer follows", async () => {
  const { page, check } = await openPage(browser, server.url);
  await example(page, 0);
  const n = await page.locator(".entity").count();
  const request = async () => {
    await page.locator("#tab-curl").click();
    const shown = await code(page);
    await page.locator("#tab-json").click();
    return shown;
  };
  const asked = await request();
  // Until the slider is moved, the model's own threshold applies, and none is sent.
  assert.equal(await page.locator("#threshold-value").textContent(), (await entityThreshold()).toFixed(2).replace(".", ","));
  assert.doesNotMatch(asked, /threshold/);
  assert.ok(await page.locator("#threshold-default").isHidden());
  await page.locator("#threshold").fill("1");
  await page.waitForFunction(n => document.querySelectorAll(".entity").length < n, n);
  assert.equal(await page.locator("#threshold-value").textContent(), "1,00");
  assert.equal(JSON.parse(await code(page)).entities.length, await page.locator(".entity").count());
  await page.locator("#threshold-default").click();
  await page.waitForFunction(n => document.querySelectorAll(".entity").length === n, n);
  assert.equal(await page.evaluate(() => document.activeElement.id), "threshold");
  assert.equal(await request(), asked);
  // Names below the threshold are no text without a name.
  await page.locator("#threshold").fill("0");
  await page.locator("#threshold-default").click();
  await page.locator("#input").fill("Und so weiter.");
  await page.locator("#submit").click();
  await page.waitForFunction(() => document.querySelector("#groups .note")?.textContent === "Kein Name erreicht diesen Score.");
  await check();
});

test("a group filters the text and goes from mention to mention", async () => {
  const { page, check } = await openPage(browser, server.url);
  await example(page, 0);
  const group = page.locator(".group", { hasText: "Rostock" });
  assert.match(await group.textContent(), /Rostock.*2 Fundstellen, Gewicht \d+\s%$/);
  await group.click();
  assert.equal(await page.locator(".group[aria-pressed=true]").count(), 1);
  assert.equal(await page.evaluate(() => document.activeElement.className), "group");
  assert.equal(await page.locator(".entity:not(.dimmed)").count(), 2);
  const current = () => page.evaluate(() => [...document.querySelectorAll(".entity")].indexOf(document.querySelector(".entity.current")));
  const first = await current();
  await page.getByRole("button", { name: /1 von 2 ?, zur nächsten Fundstelle/ }).click();
  assert.ok((await current()) > first);
  await page.getByRole("button", { name: /2 von 2 ?, zur nächsten Fundstelle/ }).click();
  assert.equal(await current(), first);
  await group.click();
  assert.equal(await page.locator(".entity.dimmed").count(), 0);
  // A name in the text chooses its group too.
  await page.locator(".entity", { hasText: "Brüssel" }).click();
  assert.match(await page.locator(".group[aria-pressed=true]").textContent(), /Brüssel/);
  await check();
});

test("a click on a topic shows the passages that carry it, in the list and in the text", async () => {
  const { page, check } = await openPage(browser, server.url);
  await example(page, 0);
  const topic = page.locator("button.topic-row").first();
  await topic.click();
  assert.equal(await topic.getAttribute("aria-expanded"), "true");
  const passages = await texts(page, ".passages:not([hidden]) .passage");
  assert.ok(passages.length > 1 && passages.every(passage => passage.length > 10), passages);
  assert.match((await texts(page, ".passages:not([hidden]) .contribution"))[0], /^Beitrag \+\d,\d\d$/);
  const highlighted = () => page.evaluate(() => [...CSS.highlights.values()].flatMap(highlight => [...highlight].map(String)));
  assert.ok((await highlighted()).join(" ").includes(passages[0]), await highlighted());
  await page.locator("button.topic-row").nth(1).click();
  assert.equal(await page.locator(".topic-row[aria-expanded=true]").count(), 1);
  await page.locator("button.topic-row").nth(1).click();
  assert.deepEqual(await highlighted(), []);
  await check();
});

test("passages that take runs wait for a click, and tokens without aggregation are shown", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ressort-page-"));
  cpSync(`${root}/tests/models/lexicon-ner`, join(folder, "tokens"), { recursive: true });
  writeFileSync(join(folder, "tokens/ressort.toml"), '[entities]\naggregation = "none"\n');
  const others = await serve(["--model", `${root}/tests/models/lexicon-topics`, "--model", join(folder, "tokens")]);
  const { page, requests, check } = await openPage(browser, others.url);
  const asked = () => requests.filter(request => request.method() === "POST").map(request => request.postDataJSON()).map(({ evidence, group }) => [evidence, group]);
  await page.locator("#input").fill("Die Wahl im Bundestag kommt. Das Spiel war gut. Angela Merkel war in Berlin, Berlin.");
  await page.locator("#submit").click();
  await result(page);
  assert.deepEqual(asked(), [[undefined, undefined]]);
  assert.ok((await texts(page, ".entity")).includes("Berlin"), await texts(page, ".entity"));
  assert.match(await page.locator(".group", { hasText: "Berlin" }).textContent(), /2 Fundstellen$/);
  assert.equal(await page.locator(".salience").count(), 0);
  assert.equal(await page.locator("button.topic-row").count(), 0);
  await page.locator("#explain").click();
  await page.waitForSelector("button.topic-row");
  assert.deepEqual(asked()[1], [true, undefined]);
  await page.waitForFunction(() => document.activeElement.className === "topic-row");
  await page.keyboard.press("Enter");
  assert.ok((await page.locator(".passages:not([hidden]) .passage").count()) > 1);
  assert.ok(await page.locator("#explain").isHidden());
  // Another text is another price.
  await page.locator("#input").fill("Die Wahl kommt.");
  await page.locator("#submit").click();
  await page.waitForFunction(() => document.querySelector("#texts").textContent === "Die Wahl kommt.");
  assert.deepEqual(asked()[2], [undefined, undefined]);
  await check();
  await others.stop();
  rmSync(folder, { recursive: true });
});

test("mentions of one entity are one group, under the fullest name", async () => {
  const { page, check } = await openPage(browser, server.url);
  await example(page, 0);
  assert.match(await page.locator(".group", { hasText: "Katharina Brandt" }).textContent(), /3 Fundstellen/);
  await check();
});

test("the legend counts the labels and hides them", async () => {
  const { page, check } = await openPage(browser, server.url);
  await example(page, 0);
  const row = page.locator(".legend-row").filter({ has: page.locator(".tag", { hasText: /^LOC$/ }) });
  const n = Number(await row.locator(".count").textContent());
  assert.equal(await page.locator(".entity[data-label=LOC]").count(), n);
  await row.click();
  assert.equal(await row.getAttribute("aria-pressed"), "false");
  assert.equal(await page.locator(".entity[data-label=LOC][role=button]").count(), 0);
  assert.equal(await page.locator("#texts .text").textContent(), await page.locator("#input").inputValue());
  await row.click();
  assert.equal(await page.locator(".entity[data-label=LOC][role=button]").count(), n);
  await check();
});

test("all topics can be shown, with bars and thresholds", async () => {
  const { page, check } = await openPage(browser, server.url);
  await example(page, 0);
  assert.equal(await page.locator(".topic").count(), 5);
  await page.getByRole("button", { name: "Alle 17 Themen zeigen" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".topic").length === 17);
  assert.equal(await page.locator(".bar .mark").count(), 17);
  await page.getByRole("button", { name: "Nur die wichtigsten zeigen" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".topic").length === 5);
  await check();
});

// The models that ship read a name in it differently.
const READ_DIFFERENTLY = "Siemens feiert. Gegründet hat Siemens der Erfinder Werner von Siemens.";

test("a second model stands next to the first with differences marked", async () => {
  const { page, check } = await openPage(browser, server.url);
  await page.locator("#input").fill(READ_DIFFERENTLY);
  await page.locator("#submit").click();
  await result(page);
  await page.selectOption("#second", "ressort-mini");
  await page.waitForSelector(".comparing");
  assert.deepEqual(await texts(page, ".column h4"), ["ressort", "ressort-mini"]);
  assert.equal(await page.locator("#facts div").count(), 6);
  const sets = await page.evaluate(() => [...document.querySelectorAll(".text")].map(text =>
    [...text.querySelectorAll(".entity")].map(mark => ({ key: mark.dataset.label + mark.textContent, differing: mark.classList.contains("differing") }))));
  const [first, second] = sets.map(set => set.filter(mark => mark.differing).length);
  const n = await page.locator(".difference").count();
  assert.ok(n > 0 && n >= Math.max(first, second) && n <= first + second, `${n} ${first} ${second}`);
  assert.match(await page.locator("#differences-title").textContent(), new RegExp(`^${n} Unterschiede? bei den Namen$`));
  await page.locator(".difference").first().click();
  assert.ok((await page.locator(".entity.current").count()) >= 1);
  await page.selectOption("#second", "");
  await page.waitForSelector("#result:not(.comparing)");
  // The first model can be chosen as well.
  await page.selectOption("#model", "ressort-mini");
  await page.waitForFunction(() => document.querySelector("#facts dd").textContent.startsWith("ressort-mini"));
  await check();
});

test("the calls give the answer that the page shows", async () => {
  const { page, check, context } = await openPage(browser, server.url);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.locator("#input").fill("👍 Angela Merkels Rede ging um 'Ökologie' \\ \"Umwelt\" in Berlin.");
  await page.locator("#submit").click();
  await result(page);
  assert.ok((await texts(page, ".entity")).includes("Berlin"), "offsets after an emoji");
  const shown = JSON.parse(await code(page));
  const calls = { "curl": ["bash", "-c"], "Python": ["python3", "-c"] };
  for (const [name, command] of Object.entries(calls)) {
    await page.getByRole("tab", { name }).click();
    await page.locator("#copy").click();
    await page.waitForFunction(() => document.querySelector("#copy").textContent === "Kopiert");
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(copied, await code(page));
    const answer = JSON.parse(execFileSync(command[0], [command[1], copied], { encoding: "utf8" }));
    const withoutCache = of => ({ ...of, usage: { ...of.usage, cached: null } });
    assert.deepEqual(withoutCache(answer), withoutCache(shown), name);
  }
  await check();
});

test("files are opened and dropped: UTF-8, Windows-1252 and HTML", async () => {
  const { page, check } = await openPage(browser, server.url);
  const file = (name, buffer, mimeType = "text/plain") => ({ name, mimeType, buffer });
  await page.locator("#file").setInputFiles(file("a.txt", Buffer.from("Der FC Bayern spielt in München.\r\n")));
  await result(page);
  assert.ok((await texts(page, ".entity")).includes("München"));
  await page.locator("#file").setInputFiles(file("b.TXT", Buffer.from("Der SPD-Chef reist nach K\u00f6ln.", "latin1")));
  await page.waitForFunction(() => document.querySelector("#texts").textContent.includes("Köln"));
  const html = "<!doctype html><html><head><title>Titel</title><style>p { color: red }</style></head><body>\n<p>Angela <b>Merkel</b> reist nach M&uuml;nchen.</p>\n\n<p>Sie trifft Markus S&ouml;der &amp; Olaf Scholz in D&#252;sseldorf.</p><script>alert(1)</script></body></html>";
  await page.evaluate(html => {
    const data = new DataTransfer();
    data.items.add(new File([html], "c.html", { type: "text/html" }));
    document.body.dispatchEvent(new DragEvent("dragover", { dataTransfer: data, bubbles: true, cancelable: true }));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  }, html);
  await page.waitForFunction(() => document.querySelector("#texts").textContent.includes("München"));
  assert.equal((await page.locator("#texts .text").innerText()).trim(), "Angela Merkel reist nach München.\nSie trifft Markus Söder & Olaf Scholz in Düsseldorf.");
  const names = await texts(page, ".entity");
  for (const name of ["Angela Merkel", "München", "Markus Söder", "Düsseldorf"]) assert.ok(names.includes(name), `${name}: ${names}`);
  await page.locator("#file").setInputFiles(file("d.pdf", Buffer.from("%PDF"), "application/pdf"));
  await page.waitForSelector("#problem:not(:empty)");
  assert.match(await page.locator("#problem").textContent(), /nicht lesen.*\.txt und \.html/);
  await check();
});

test("hostile text stays text", async () => {
  const { page, check } = await openPage(browser, server.url);
  const text = "<img src=x onerror=alert(1)> Angela Merkel </pre><script>alert(2)</script> in Berlin & Köln";
  await page.locator("#input").fill(text);
  await page.locator("#submit").click();
  await result(page);
  assert.equal(await page.locator("#result img, #result script").count(), 0);
  assert.ok((await code(page)).includes("Merkel"));
  await check();
});
