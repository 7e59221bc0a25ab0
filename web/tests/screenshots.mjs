// A picture of every page, in light and dark, wide and narrow: `make screenshots`.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NARROW, WIDE, onPage, signedIn, start, stop } from './src/browser.mjs';
import { PAGES, visit } from './src/pages.mjs';
import { stage } from './src/stage.mjs';

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
        await page.screenshot({ path, fullPage: true, animations: 'disabled' });
      }
    }
  });
}
await stop();
