// The functions that the browser tests share. The browser is the program at CHROMIUM.

import { chromium } from 'playwright-core';

export const LIMIT_MS = 60_000;

// Returns the roles of focusable elements without an accessible name.
export async function unlabelled(context, page) {
  const session = await context.newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  const isFocusable = ({ properties = [] }) =>
    properties.some(({ name, value }) => name === 'focusable' && value.value);
  return nodes
    .filter((node) => !node.ignored && node.role?.value !== 'RootWebArea' && isFocusable(node))
    .filter((node) => !node.name?.value?.trim())
    .map((node) => node.role?.value);
}

// Records errors of the page, and requests that fail.
export function watch(page) {
  const errors = [];
  const failed = [];
  page.on('console', (entry) => ['error', 'warning'].includes(entry.type()) && errors.push(entry.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('requestfailed', (request) => failed.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('response', (response) => response.status() >= 400 && failed.push(`${response.url()}: ${response.status()}`));
  return { errors, failed };
}

// Runs `check` with a browser for at most LIMIT_MS, and ends the process.
export async function run(check) {
  let browser;
  const tooLong = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not done after ${LIMIT_MS} ms`)), LIMIT_MS);
  });
  try {
    if (!process.env.CHROMIUM) throw new Error('set CHROMIUM to the path of a browser');
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args });
    await Promise.race([check(browser), tooLong]);
  } catch (error) {
    console.error(error.stack ?? error);
    process.exitCode = 1;
  } finally {
    await browser?.close();
  }
  // Standard input and the timeout would keep the process alive.
  process.exit();
}
