// Opens the page of a mock with batches and single messages at the given URL, uses its filter, week, time zones and
// destinations, and prints one JSON object with the content.

import { run, unlabelled, watch } from './browser.js';
import { screenshots } from './screenshots.js';

const WAIT_MS = 5_000;

const url = new URL(process.argv[2]);
const plain = (text) => text.replace(/\s+/g, ' ').trim();

await run(async (browser) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, timezoneId: 'America/Chicago' });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const { errors, failed } = watch(page);
  const textsOf = async (selector) => (await page.locator(selector).allInnerTexts()).map(plain);
  const week = () => page.locator('#week[aria-busy=false] .run').first().waitFor();
  const calendar = async () => ({
    caption: (await textsOf('#calendar-caption'))[0],
    axis: (await page.locator('#providers tr').first().locator('.axis li').allInnerTexts()),
    rows: await textsOf('#providers th .data'),
    runs: await textsOf('#providers tr:first-child .run'),
  });
  await page.goto(url.href);
  await page.locator('#rows > .batch').first().waitFor();
  await week();
  const report = {
    batches: await textsOf('.batch > details > .line'),
    groups: (await page.locator('#rows > li').evaluateAll((rows) => rows.map(({ className }) => className))),
    lines: await textsOf('.message .line'),
    line_heights: await page.locator('.message .line').evaluateAll((lines) => lines.map((line) => line.offsetHeight)),
    utc: await calendar(),
    zones: await page.locator('#zone option').count(),
  };
  await page.locator('.message .line').first().click();
  await screenshots(page, 'filled');

  await page.locator('#zone').selectOption('America/New_York');
  await page.locator('#calendar-caption', { hasText: 'New_York' }).waitFor();
  await week();
  report.new_york = await calendar();
  // The same offset in winter.
  await page.locator('#zone').selectOption('America/Toronto');
  await page.locator('#calendar-caption', { hasText: 'Toronto' }).waitFor();
  await page.locator('#week-after').click();
  await page.locator('#week-shown', { hasText: '2026-12-07 to 2026-12-13' }).waitFor();
  await page.locator('#week-first').click();
  await page.locator('#calendar-caption', { hasText: '2026-11-30' }).waitFor();

  // A rejected message has no slots in the week, and the buttons still work.
  await page.locator('.message').nth(1).locator('.line').click();
  await page.getByRole('button', { name: 'Slots of message 5' }).click();
  await page.locator('#week-shown', { hasText: 'No slots of message 5' }).waitFor();
  await page.locator('#week-before').click();
  await page.locator('#week-all').click();
  await page.locator('#week-first').click();
  await week();
  await page.locator('#filter-rejected').click();
  await page.waitForFunction(() => document.querySelectorAll('.message').length === 1);
  report.rejected = await textsOf('.message .line');
  report.rejected_batch = await textsOf('.batch > details > .line');
  await page.locator('#filter-no_response').click();
  await page.locator('.message .no_response').waitFor();
  report.no_response = await textsOf('.message .line');

  const destination = '00000000-0000-4000-8000-000000000001';
  await page.locator('#destinations').fill('no UUID');
  await page.getByRole('button', { name: 'Accept only these' }).click();
  await page.locator('#destinations-error', { hasText: "Entry 1 isn't a UUID" }).waitFor();
  await page.locator('#destinations').fill(destination);
  await page.getByRole('button', { name: 'Accept only these' }).click();
  await page.locator('#forget:visible').waitFor();
  report.destinations = (await textsOf('#destinations-shown'))[0];
  report.unlabelled = await unlabelled(context, page);
  await page.setViewportSize({ width: 420, height: 800 });
  await page.locator('#filter-all').click();
  await page.waitForFunction(() => document.querySelectorAll('.message').length === 6);
  report.overflow_px = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth - clientWidth;
  });
  process.stdout.write(`${JSON.stringify({ ...report, console_errors: errors, failed_requests: failed })}\n`);
});
