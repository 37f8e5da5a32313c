// Opens the page of a mock without messages at the given URL, and prints one JSON object: the settings, and the effects
// of the buttons.

import { run, unlabelled, watch } from './browser.js';
import { screenshots } from './screenshots.js';

const WAIT_MS = 5_000;

const url = new URL(process.argv[2]);

await run(async (browser) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url.origin });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const { errors, failed } = watch(page);
  await page.goto(url.href);

  await page.locator('#settings', { hasText: 'export' }).waitFor();
  const settings = await page.locator('#settings').textContent();
  await page.locator('#copy').click();
  await page.locator('#live', { hasText: 'copied' }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());

  await page.locator('#recipient').selectOption('token_request');
  await page.getByRole('button', { name: '503', exact: true }).click();
  await page.locator('#queue > li').first().waitFor();
  const queue = await page.locator('#queue').innerText();
  await page.locator('#outage-10').click();
  await page.locator('#outage:visible').waitFor();

  await screenshots(page, 'empty');
  process.stdout.write(`${JSON.stringify({
    settings,
    copied,
    queue,
    outage: await page.locator('#outage').isVisible(),
    explanations: await page.locator('#responses .note').allInnerTexts(),
    unlabelled: await unlabelled(context, page),
    console_errors: errors,
    failed_requests: failed,
  })}\n`);
});
