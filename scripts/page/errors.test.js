// Errors, the API key, and what the page keeps to itself.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { example, launch, models, openPage, result, root, serve } from "./support.js";

let browser, server, locked;
const KEY = "geheim-4711";
before(async () => {
  const one = ["--model", `${root}/models/ressort-mini`, "--max-characters", "5000"];
  [browser, server, locked] = await Promise.all([launch(), serve([...models, "--max-characters", "5000"]), serve(one, { RESSORT_API_KEY: KEY })]);
});
after(() => Promise.all([browser?.close(), server?.stop(), locked?.stop()]));

test("an error replaces the old result and is in the page's language", async () => {
  const { page, errors } = await openPage(browser, server.url);
  await example(page, 0);
  await page.locator("#input").fill("Lang. ".repeat(1000));
  await page.locator("#submit").click();
  await page.waitForSelector("#problem:not(:empty)");
  assert.ok(await page.locator("#result").isHidden());
  assert.match(await page.locator("#problem > p").textContent(), /Der Text ist zu lang/);
  assert.match(await page.locator("#problem details").textContent(), /text_too_long: .*6000 characters.*5000/);
  await page.getByRole("button", { name: "English", exact: true }).click();
  assert.match(await page.locator("#problem > p").textContent(), /The text is too long/);
  await example(page, 1);
  assert.equal(await page.locator("#problem").textContent(), "");
  // Chromium reports the status 413 itself.
  assert.deepEqual(errors.filter(error => !error.includes("413")), []);
});

test("an empty text is asked for, with the focus in the field", async () => {
  const { page, check } = await openPage(browser, server.url);
  await page.locator("#submit").click();
  assert.match(await page.locator("#problem").textContent(), /noch keinen Text/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "input");
  await check();
});

test("every code of the API has words in both languages", async () => {
  const { page, check } = await openPage(browser, server.url);
  const codes = await page.evaluate(async () => (await (await fetch("openapi.json")).json()).components.schemas.Problem.properties.code.enum);
  for (const code of codes) {
    await page.route("**/v1/classify", route => route.fulfill({ status: 400, json: { code, detail: "x" } }));
    await page.locator("#input").fill("Berlin");
    await page.locator("#submit").click();
    await page.waitForFunction(code => document.querySelector("#problem details")?.textContent.includes(`${code}: x`), code);
    assert.doesNotMatch(await page.locator("#problem > p").textContent(), /undefined/);
    await page.unroute("**/v1/classify");
  }
  await check().catch(error => assert.match(String(error), /400/));
});

test("a server that is gone is named", async () => {
  const { page } = await openPage(browser, server.url);
  await page.route("**/v1/classify", route => route.abort());
  await page.locator("#examples button").first().click();
  await page.waitForSelector("#problem:not(:empty)");
  assert.match(await page.locator("#problem").textContent(), /nicht erreichbar/);
  await page.unroute("**/v1/classify");
  await page.route("**/v1/classify", route => route.fulfill({ status: 502, body: "<h1>Bad gateway</h1>" }));
  await page.locator("#examples button").first().click();
  await page.waitForFunction(() => document.querySelector("#problem").textContent.includes("Proxy"));
});

test("a key opens a locked server, stays in the tab, and is in no call", async () => {
  const { page, context } = await openPage(browser, locked.url);
  await page.waitForSelector("#problem:not(:empty)");
  assert.match(await page.locator("#problem").textContent(), /verlangt einen API-Schlüssel/);
  assert.ok(await page.locator("#key-field").isVisible());
  await page.locator("#key-field").fill("falsch");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#problem").textContent.includes("passt nicht"));
  await page.locator("#key-field").fill(KEY);
  await page.getByRole("button", { name: "Übernehmen" }).click();
  await page.waitForFunction(() => document.querySelector("#problem").textContent === "");
  await example(page, 0);
  for (const tab of ["curl", "Python"]) {
    await page.getByRole("tab", { name: tab }).click();
    const call = await page.locator("#code").textContent();
    assert.ok(call.includes("RESSORT_API_KEY") && !call.includes(KEY), call);
  }
  await page.reload();
  await example(page, 0);
  const kept = await page.evaluate(() => [JSON.stringify(localStorage), document.cookie]);
  assert.deepEqual(kept, ["{}", ""]);
  const other = await context.newPage();
  await other.goto(locked.url);
  await other.waitForSelector("#problem:not(:empty)");
  await page.locator("#key summary").click();
  await page.getByRole("button", { name: "Vergessen" }).click();
  await page.waitForSelector("#problem:not(:empty)");
  assert.equal(await page.evaluate(() => sessionStorage.getItem("ressort-key")), null);
  assert.ok(!locked.log().includes(KEY));
});

test("one model leaves nothing to choose", async () => {
  const { page } = await openPage(browser, locked.url);
  assert.ok(await page.locator("#second").isHidden());
});

test("the text is in no address and in no log, and no other host is asked", async () => {
  const { page, requests, check } = await openPage(browser, server.url);
  const text = "Zwetschgendatschi aus Oberammergau";
  await page.locator("#input").fill(text);
  await page.locator("#submit").click();
  await result(page);
  await page.selectOption("#second", "ressort-mini");
  await page.waitForSelector(".comparing");
  for (const request of requests) assert.ok(!decodeURIComponent(request.url()).includes("Zwetschge"), request.url());
  assert.ok(!page.url().includes("?"));
  assert.ok(server.log().includes("/v1/classify") && !server.log().includes("Zwetschge"));
  const policy = (await page.request.get(server.url)).headers()["content-security-policy"];
  assert.ok(!policy.includes("unsafe") && policy.includes("default-src 'none'"), policy);
  await check();
});
