// Opens the page of the service at the URL that it is given, in a browser without a screen, and prints one JSON object
// a line: how fast the newest message was there, which one came later, and what is on the page and around it. The
// browser is the one at CHROMIUM.

import { createInterface } from 'node:readline';
import { LIMIT_MS, run, unlabelled, watch } from './browser.js';

const WAIT_MS = 5_000;
const MOST_TABS = 40;

const url = new URL(process.argv[2]);
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const plain = (text) => text.replace(/\s+/g, ' ').trim();

// The first line of standard input, or undefined where it ends without one.
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

  const newest = page.locator('#rows > li').first();
  const textOf = async (locator) => plain(await locator.innerText());
  const textsOf = async (locator) => (await locator.allInnerTexts()).map(plain);
  const live = () => textOf(page.locator('#live'));

  const begin = performance.now();
  await page.goto(url.href, { waitUntil: 'commit' });
  await newest.waitFor({ timeout: LIMIT_MS });
  const opened_ms = performance.now() - begin;

  const numberOfNewest = () => Number(document.querySelector('#rows > li h3').textContent.match(/\d+/)[0]);
  // Before the line on which the next message is pushed.
  const before = await page.evaluate(numberOfNewest);
  print({ opened_ms, newest: await textOf(newest) });
  if ((await pushed)?.trim() === 'pushed') {
    await page.waitForFunction(
      (before) => Number(document.querySelector('#rows > li h3')?.textContent.match(/\d+/)[0]) > before,
      before,
      { polling: 20 },
    );
    print({ arrived: await textOf(newest), live: await live() });
  }

  // Before anything is clicked: Tab goes on from where the last click was.
  const keyboard_next = await queueByKeyboard(page, textOf);
  // The calendar is asked for after the messages, and anew after each that arrives.
  await page.locator('#week[aria-busy=false] .slot').first().waitFor();
  for (const more of await newest.locator('summary:visible').all()) await more.click();
  const report = {
    log_ids: await textsOf(newest.locator('.log-id')),
    attempts: await textsOf(newest.locator('.attempts .text')),
    providers: await textsOf(page.locator('#providers .provider')),
    slots: await textsOf(page.locator('#calendar .slot')),
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
  const isThere = () => document.activeElement === document.querySelector('#responses button');
  for (let tabs = 0; !(await page.evaluate(isThere)); tabs++) {
    if (tabs === MOST_TABS) throw new Error(`no response has the focus after ${tabs} tabs`);
    await page.keyboard.press('Tab');
  }
  const many = await page.locator('#queue > li').count();
  await page.keyboard.press('Enter');
  await page.locator('#queue > li').nth(many).waitFor();
  if (!(await page.evaluate(isThere))) throw new Error('the button lost the focus when it was pressed');
  return textOf(page.locator('#queue'));
}

await run(check);
