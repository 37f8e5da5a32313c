// Screenshots of a page, if PUSHSLOTS_SCREENSHOTS names a folder.

const WIDTHS = [1280, 420];

// Writes NAME-WIDTH-SCHEME.png for each width, light and dark. Afterwards the page has the first width.
export async function screenshots(page, name) {
  const folder = process.env.PUSHSLOTS_SCREENSHOTS;
  if (!folder) return;
  for (const colorScheme of ['dark', 'light']) {
    await page.emulateMedia({ colorScheme });
    for (const width of WIDTHS.toReversed()) {
      await page.setViewportSize({ width, height: 800 });
      await page.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png`, fullPage: true });
    }
  }
}
