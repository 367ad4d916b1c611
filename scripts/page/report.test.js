// The HTML report of `ressort evaluate`.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { clipped, dark, launch, models, openPage, phone, picture, ressort, root, violations } from "./support.js";

let browser, report;
before(async () => {
  report = join(mkdtempSync(join(tmpdir(), "ressort-report-")), "report.html");
  const flags = ["evaluate", "--data", `${root}/docs/examples/gold.jsonl`, ...models, "--providers", "cpu", "--html", report, "--require", "entities.f1 >= 0.5"];
  execFileSync(ressort, flags, { stdio: ["ignore", "ignore", "pipe"] });
  browser = await launch();
});
after(() => browser?.close());

for (const [name, options] of Object.entries({ light: {}, dark, phone })) {
  test(`the report has nothing that axe-core finds, nothing clipped, no empty row: ${name}`, async () => {
    const { page, check } = await openPage(browser, `file://${report}`, options);
    await page.evaluate(() => document.querySelectorAll("details").forEach(details => (details.open = true)));
    await picture(page, `report-${name}`);
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(await clipped(page), []);
    assert.doesNotMatch(await page.locator("body").innerText(), /0 of 0|NaN/);
    await check();
  });
}
