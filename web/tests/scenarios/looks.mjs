// What every page owes everybody: it is accessible, fits, and can be worked by the keyboard.

import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { NARROW, NARROWEST, WIDE, onPage, signedIn } from '../src/browser.mjs';
import { PAGES, visit } from '../src/pages.mjs';
import { crawl } from '../src/crawl.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

const seenBy = async (row) => (row.open ? {} : { session: await signedIn() });

for (const row of PAGES) {
  test(`${row.name} is accessible in light and dark, wide and narrow`, async () =>
    onPage(await seenBy(row), async (page) => {
      await visit(page, row);
      await page.evaluate(AXE);
      for (const colorScheme of ['light', 'dark']) {
        for (const viewport of [WIDE, NARROW]) {
          await page.emulateMedia({ colorScheme });
          await page.setViewportSize(viewport);
          const found = await page.evaluate((values) => axe.run({ runOnly: { type: 'tag', values } }), RULES);
          const words = found.violations.flatMap((violation) =>
            violation.nodes.map((node) => `${violation.id}: ${violation.help}: ${node.html} ${node.failureSummary}`),
          );
          assert.deepEqual(words, [], `${row.name}, ${colorScheme}, ${viewport.width} px`);
          assert.ok(found.passes.length > 5, 'axe looked at something');
        }
      }
    }));

  test(`${row.name} fits into 320 px, and every control can be reached by the keyboard`, async () =>
    onPage({ ...(await seenBy(row)), viewport: NARROWEST }, async (page) => {
      await visit(page, row);
      assert.deepEqual(await page.evaluate(whatSticksOut), [], `${row.name} needs no scrolling sideways`);
      await page.setViewportSize(WIDE);
      const missed = await unreachedByTab(page);
      assert.deepEqual(missed, [], `${row.name}: the Tab key reaches them, and it can be seen where it stands`);
    }));
}

test('every page that a link leads to has a row', async () =>
  onPage({ session: await signedIn() }, async (page) => {
    const shapeOf = (path) => PAGES.find((row) => row.shape.test(path.split('?')[0]))?.name ?? `no row: ${path}`;
    const seen = await crawl(page, ['/domains?refresh=off'], shapeOf, async () => {});
    const without = [...seen].filter((shape) => shape.startsWith('no row'));
    assert.deepEqual(without, [], 'add them to web/tests/src/pages.mjs');
    assert.ok(seen.size > 1, 'links were found');
  }));

/** In the page: what stands out to the right of it; nothing, unless it can be scrolled there. */
function whatSticksOut() {
  const width = document.documentElement.clientWidth;
  if (document.scrollingElement.scrollWidth <= width) return [];
  const isOut = (box) => box.getBoundingClientRect().right > width;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  const found = [...document.querySelectorAll('body *')].filter(isOut).map((element) => element.outerHTML);
  while (texts.nextNode()) {
    range.selectNodeContents(texts.currentNode);
    if (isOut(range)) found.push(`the text ${texts.currentNode.data.trim()}`);
  }
  return [`it is ${document.scrollingElement.scrollWidth} px wide`, ...found.map((words) => words.slice(0, 120))];
}

/** Controls that Tab does not reach, or where nothing shows that they have the focus. */
async function unreachedByTab(page) {
  const controls = await page.evaluate(() => {
    const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
    const shown = [...document.querySelectorAll(all)].filter((one) => one.checkVisibility() && !one.disabled);
    shown.forEach((one, index) => one.setAttribute('data-tab', index));
    return shown.map((one) => one.outerHTML.slice(0, 120));
  });
  const reached = new Set();
  // More stops than controls: what scrolls is one as well.
  for (let step = 0; step < controls.length * 2 + 20 && reached.size < controls.length; step += 1) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      const isShown = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
      return { index: element.getAttribute('data-tab'), isShown: isShown || style.boxShadow !== 'none' };
    });
    if (stop.index !== null && stop.isShown) reached.add(Number(stop.index));
  }
  return controls.filter((_, index) => !reached.has(index));
}
