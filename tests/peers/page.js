// Opens the page of the service at the given URL, and prints one JSON object a line: the time until the newest message
// was listed, the message that arrived later, and the content of the page.

import { createInterface } from 'node:readline';
import { LIMIT_MS, run, unlabelled, watch } from './browser.js';

const WAIT_MS = 5_000;
const MOST_TABS = 10;

const url = new URL(process.argv[2]);
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const plain = (text) => text.replace(/\s+/g, ' ').trim();

// The first line of standard input, or undefined if there is none.
const pushed = (async () => {
  for await (const line of createInterface({ input: process.stdin })) return line;
})();

async function check(browser) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const { errors, failed } = watch(page);
  const foreign = [];
  page.on('request', (request) => {
    const to = new URL(request.url());
    if (to.protocol !== 'data:' && to.origin !== url.origin) foreign.push(request.url());
  });

  const newest = page.locator('#rows .message').first();
  const textOf = async (locator) => plain(await locator.innerText());
  const textsOf = async (locator) => (await locator.allInnerTexts()).map(plain);
  const live = () => textOf(page.locator('#live'));

  const begin = performance.now();
  await page.goto(url.href, { waitUntil: 'commit' });
  await newest.waitFor({ timeout: LIMIT_MS });
  const opened_ms = performance.now() - begin;

  const numberOfNewest = () => Number(document.querySelector('#rows .message h4').textContent.match(/\d+/)[0]);
  // The test sends the next message after it reads the line.
  const before = await page.evaluate(numberOfNewest);
  print({ opened_ms, newest: await textOf(newest) });
  if ((await pushed)?.trim() === 'pushed') {
    await page.waitForFunction(
      (before) => Number(document.querySelector('#rows .message h4')?.textContent.match(/\d+/)[0]) > before,
      before,
      { polling: 20 },
    );
    print({ arrived: await textOf(newest), live: await live() });
  }

  // Before any click, because Tab moves on from the last click.
  const keyboard_next = await queueByKeyboard(page, textOf);
  // The page requests the calendar after the messages, and again after each change.
  await page.locator('#week[aria-busy=false] .run').first().waitFor();
  for (const more of await newest.locator('summary:visible').all()) await more.click();
  const report = {
    log_ids: await textsOf(newest.locator('.log-id')),
    attempts: await textsOf(newest.locator('.attempts .text')),
    providers: await textsOf(page.locator('#providers .provider')),
    slots: await textsOf(page.locator('#calendar .run')),
    keyboard_next,
    live: await live(),
    unlabelled: await unlabelled(context, page),
  };

  await page.setViewportSize({ width: 360, height: 740 });
  report.phone_overflow_px = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth - clientWidth;
  });
  report.phone_slots = await textOf(page.locator('#calendar'));
  report.storage = {
    ...(await page.evaluate(() => ({ local: localStorage.length, session: sessionStorage.length }))),
    cookies: (await context.cookies()).length,
  };
  print({ ...report, console_errors: errors, foreign_requests: foreign, failed_requests: failed });
}

// Queues the first failure with Tab and Enter alone, and returns the text of the queue.
async function queueByKeyboard(page, textOf) {
  await tabTo(page, 'nav a[href="#next"]');
  await page.keyboard.press('Enter');
  await tabTo(page, '#responses button');
  const many = await page.locator('#queue > li').count();
  await page.keyboard.press('Enter');
  await page.locator('#queue > li').nth(many).waitFor();
  if (!(await hasFocus(page, '#responses button'))) throw new Error('the button lost the focus when it was pressed');
  return textOf(page.locator('#queue'));
}

const hasFocus = (page, selector) =>
  page.evaluate((selector) => document.activeElement === document.querySelector(selector), selector);

async function tabTo(page, selector) {
  for (let tabs = 0; !(await hasFocus(page, selector)); tabs++) {
    if (tabs === MOST_TABS) throw new Error(`${selector} doesn't have the focus after ${tabs} tabs`);
    await page.keyboard.press('Tab');
  }
}

await run(check);
