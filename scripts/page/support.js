// Servers and browser for the tests of the page.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const { CHROMIUM, RESSORT, ROOT, SCREENSHOTS } = process.env;
export const root = ROOT;
export const ressort = RESSORT;
export const phone = { viewport: { width: 390, height: 844 } };
export const dark = { colorScheme: "dark" };

/** A running server: `url`, `log()` with what it wrote so far, `stop()`. */
export async function serve(flags, environment = {}) {
  const child = spawn(RESSORT, ["serve", "--port", "0", "--providers", "cpu", ...flags], {
    env: { ...process.env, RUST_LOG: "debug", ...environment }, stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  const url = await new Promise((resolve, reject) => {
    const read = piece => {
      log += piece;
      const [address] = log.match(/http:\/\/127\.0\.0\.1:\d+/) ?? [];
      if (address) resolve(`${address}/`);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", () => reject(new Error(log)));
  });
  const ended = new Promise(resolve => child.on("exit", resolve));
  return { url, log: () => log, stop: () => (child.kill("SIGTERM"), ended) };
}

export const models = ["--model", `${ROOT}/models/ressort`, "--model", `${ROOT}/models/ressort-mini`];

export function launch() {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  return chromium.launch({ executablePath: CHROMIUM, args });
}

/** A fresh tab with the page. At the end, `check()` holds that it had no error and asked no other host. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ locale: "de-DE", viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const [errors, requests] = [[], []];
  page.on("pageerror", error => errors.push(String(error)));
  page.on("console", message => message.type() === "error" && errors.push(message.text()));
  page.on("request", request => requests.push(request));
  await page.goto(url);
  const check = async () => {
    assert.deepEqual(errors, []);
    for (const request of requests) assert.ok(request.url().startsWith(new URL(url).origin) || url.startsWith("file:"), request.url());
    await context.close();
  };
  return { context, page, requests, errors, check };
}

/** Waits for a result. */
export async function result(page) {
  await page.waitForSelector("#result:not([hidden]):not([aria-busy])");
}

/** Takes an example and waits for its result. */
export async function example(page, number) {
  await page.locator("#examples button").nth(number).click();
  await result(page);
}

/** What axe-core finds wrong, as short lines. */
export async function violations(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map(node => node.html).join(" | ")}`);
}

/** Elements that are wider than their box and hide what does not fit, and whether the page scrolls sideways. */
export function clipped(page) {
  return page.evaluate(() => {
    const found = [...document.querySelectorAll("body *")].filter(element => {
      const style = getComputedStyle(element);
      const hides = style.overflowX === "hidden" || style.textOverflow === "ellipsis";
      return hides && style.clipPath === "none" && element.scrollWidth > element.clientWidth + 1;
    });
    const wide = document.documentElement.scrollWidth > innerWidth ? ["the page scrolls sideways"] : [];
    return [...found.map(element => element.outerHTML.slice(0, 120)), ...wide];
  });
}

/** Writes a picture where pictures are wanted. */
export async function picture(page, name) {
  if (!SCREENSHOTS) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true });
}
