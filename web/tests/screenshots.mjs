// A picture of every page, in light and dark, wide and narrow, and of every mail: `make screenshots`.

import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { NARROW, WIDE, onPage, signedIn, start, stop } from './src/browser.mjs';
import { PAGES, visit } from './src/pages.mjs';
import { stage } from './src/stage.mjs';

/** So much of a page is shown, in pixels. */
const LONGEST = 2400;

/** Where the mails were written: one `.html` file for each kind. */
const letters = resolve(process.argv[2]);

mkdirSync(stage.pictures, { recursive: true });
await start();
for (const row of PAGES) {
  const session = row.open ? undefined : await signedIn();
  await onPage({ session }, async (page) => {
    await visit(page, row);
    for (const colorScheme of ['light', 'dark']) {
      for (const [viewport, suffix] of [[WIDE, ''], [NARROW, '-narrow']]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize(viewport);
        const path = join(stage.pictures, `${row.name}-${colorScheme}${suffix}.png`);
        // Of a long page its beginning: a whole guide would be a picture of several metres.
        const height = Math.min(LONGEST, await page.evaluate(() => document.documentElement.scrollHeight));
        const clip = { x: 0, y: 0, width: viewport.width, height };
        await page.screenshot({ path, fullPage: true, clip, animations: 'disabled' });
      }
    }
  });
}
for (const file of readdirSync(letters).filter((file) => file.endsWith('.html'))) {
  await onPage({ viewport: { width: 720, height: 480 } }, async (page) => {
    await page.setContent(readFileSync(join(letters, file), 'utf8'));
    const path = join(stage.pictures, `mail-${basename(file, '.html')}.png`);
    await page.screenshot({ path, fullPage: true });
  });
}
await stop();
