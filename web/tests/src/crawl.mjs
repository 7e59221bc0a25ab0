// Every page that can be reached by links, as somebody with a session sees them, and every form on them.

/** Of paths that differ only in a name or an id, this many are looked at. */
const ALIKE = 2;

/**
 * Follows links from `start`, and answers the shapes of the pages that were found.
 * @param {import('playwright-core').Page} page
 * @param {string[]} start paths
 * @param {(path: string) => string} shapeOf what paths of one page have in common
 * @param {(page: import('playwright-core').Page, path: string) => Promise<void>} look at each page
 */
export async function crawl(page, start, shapeOf, look) {
  const seen = new Map();
  const pages = new Set();
  const waiting = [...start];
  while (waiting.length > 0) {
    const path = waiting.shift();
    const shape = shapeOf(path);
    const known = seen.get(shape) ?? [];
    if (known.includes(path) || known.length >= ALIKE) continue;
    seen.set(shape, [...known, path]);
    const answer = await page.goto(path);
    if (!(answer.headers()['content-type'] ?? '').startsWith('text/html')) continue;
    pages.add(shape);
    await look(page, path);
    waiting.push(...(await links(page)));
  }
  return pages;
}

/** Paths, with their queries, of the links on a page that stay here. */
async function links(page) {
  const hrefs = await page.locator('a[href]:not([download])').evaluateAll((anchors) => anchors.map((anchor) => anchor.href));
  const here = new URL(page.url()).origin;
  const urls = hrefs.map((href) => new URL(href)).filter((url) => url.origin === here);
  return [...new Set(urls.map((url) => url.pathname + url.search))];
}
