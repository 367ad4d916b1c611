// The page for everybody: keyboard, screen reader, contrast, phone, dark mode.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { clipped, dark, example, launch, models, openPage, phone, picture, result, serve, violations } from "./support.js";

let browser, server;
before(async () => ([browser, server] = await Promise.all([launch(), serve(models)])));
after(() => Promise.all([browser?.close(), server?.stop()]));

for (const [name, options] of Object.entries({ light: {}, dark, phone, "phone-dark": { ...phone, ...dark } })) {
  test(`axe-core finds nothing, and nothing is clipped: ${name}`, async () => {
    const { page, check } = await openPage(browser, server.url, options);
    const look = async state => {
      await picture(page, `${name}-${state}`);
      assert.deepEqual(await violations(page), [], state);
      assert.deepEqual(await clipped(page), [], state);
    };
    await page.locator("#key summary").click();
    await look("key");
    await page.locator("#key summary").click();
    await look("start");
    await example(page, 0);
    await look("result");
    for (const topic of await page.locator("button.topic-row").all()) await topic.click();
    await page.locator(".group").first().click();
    await page.locator(".legend-row").last().click();
    await page.locator(".entity").first().focus();
    await look("chosen");
    await page.selectOption("#second", "ressort-mini");
    await page.waitForSelector(".comparing");
    await look("comparison");
    await page.locator("#input").fill("");
    await page.locator("#submit").click();
    await page.waitForSelector("#problem:not(:empty)");
    await look("error");
    await check();
  });
}

/** Contrast as WCAG defines it, of the labels next to names too, which axe-core does not see. */
test("labels of all colours have a contrast of at least 4.5 to 1", async () => {
  for (const options of [{}, dark]) {
    const { page, check } = await openPage(browser, server.url, options);
    const lowest = await page.evaluate(() => {
      const style = getComputedStyle(document.documentElement);
      const colour = name => style.getPropertyValue(`--${name}`).trim().match(/[0-9a-f]{2}/gi).map(hex => parseInt(hex, 16) / 255);
      const linear = value => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
      const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
      const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
      const pairs = [...Array(8).keys()].flatMap(n => [[`deep-${n}`, `tint-${n}`], [`deep-${n}`, "paper"], [`deep-${n}`, "back"], ["ink", `tint-${n}`]]);
      pairs.push(["pale", "back"], ["pale", "paper"], ["pale", "soft"], ["pale", "accent-soft"], ["ink", "bad-soft"], ["bad", "bad-soft"], ["accent", "paper"], ["accent", "back"], ["on-accent", "accent"], ["differs", "back"]);
      // The passages' colour lies over the paper and over the tints.
      const [r, g, b] = style.getPropertyValue("--passage").trim().split(" ").map(value => Number(value) / 255);
      const strong = Number(style.getPropertyValue("--strong"));
      const over = (under, share) => [r, g, b].map((value, index) => value * share + under[index] * (1 - share));
      const covered = ["paper", ...[...Array(8).keys()].map(n => `tint-${n}`)].map(name => [`ink on covered ${name}`, ratio(colour("ink"), over(colour(name), strong))]);
      return [...pairs.map(([a, b]) => [`${a} on ${b}`, ratio(colour(a), colour(b))]), ...covered].sort((a, b) => a[1] - b[1])[0];
    });
    assert.ok(lowest[1] >= 4.5, `${lowest}`);
    await check();
  }
});

test("everything can be done with the keyboard, and the focus stays", async () => {
  const { page, check } = await openPage(browser, server.url);
  const focused = () => page.evaluate(() => {
    const { id, className, textContent } = document.activeElement;
    return `${id || className} ${textContent.slice(0, 40)}`;
  });
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const tabTo = async part => {
    for (let n = 0; n < 80; n++) {
      if ((await focused()).includes(part)) return;
      await press("Tab");
    }
    assert.fail(`Tab does not reach ${part}; last: ${await focused()}`);
  };
  await tabTo("input");
  await page.keyboard.type("Angela Merkel traf Emmanuel Macron in Berlin. Merkel reist danach nach Paris.");
  await press("Control+Enter");
  await result(page);
  assert.match(await focused(), /^input/, "the focus stays in the field");
  await tabTo("all-topics");
  await press("Enter");
  await page.waitForFunction(() => document.querySelectorAll(".topic").length === 17);
  assert.match(await focused(), /^all-topics/);
  await tabTo("entity");
  assert.match(await focused(), /Angela Merkel/);
  await press("ArrowRight", "ArrowRight");
  assert.match(await focused(), /Berlin/);
  assert.ok(await page.locator("#tip").isVisible());
  await press("Home", "End");
  assert.match(await focused(), /Paris/);
  await press("Enter");
  assert.match(await page.locator(".group[aria-pressed=true]").textContent(), /Paris/);
  await press("Enter");
  await tabTo("threshold");
  const n = await page.locator(".entity").count();
  await press("End");
  await page.waitForFunction(n => document.querySelectorAll(".entity").length < n, n);
  assert.match(await focused(), /^threshold/);
  await press("Home");
  await page.waitForFunction(n => document.querySelectorAll(".entity").length >= n, n);
  await tabTo("legend-row");
  await press("Space");
  assert.equal(await page.locator(".legend-row[aria-pressed=false]").count(), 1);
  await tabTo("group ");
  await press("Enter");
  assert.equal(await page.locator(".group[aria-pressed=true]").count(), 1);
  await tabTo("tab-json");
  await press("ArrowRight");
  assert.match(await focused(), /^tab-curl/);
  assert.match(await page.locator("#code").textContent(), /^curl/);
  await tabTo("copy");
  await press("Enter");
  await check();
});

test("a screen reader hears the result, topics as a list, labels apart from names", async () => {
  const { page, check } = await openPage(browser, server.url);
  await example(page, 0);
  const tree = await page.locator("#result").ariaSnapshot();
  assert.match(tree, /heading "Themen"/);
  assert.match(tree, /- list "Themen":/);
  assert.match(tree, /button "Katharina Brandt, PER[^"]*, Score [01],\d\d"/);
  assert.match(tree, /tab "Antwort \(JSON\)" \[selected\]/);
  assert.equal(await page.locator("#status").getAttribute("role"), "status");
  assert.equal(await page.locator("#problem").getAttribute("role"), "alert");
  await check();
});
