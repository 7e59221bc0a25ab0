// One shop among 100,000.

import test from 'node:test';
import assert from 'node:assert/strict';
import { WAYS, onPage, signedIn } from '../src/browser.mjs';

const NAME = 'boutique-177123.many-shops.test';

/** Types `words` into the search of the list, and waits for what is found. */
async function search(page, words) {
  await page.goto('/domains');
  const box = page.getByRole('main').getByRole('searchbox');
  await box.fill(words);
  await box.press('Enter');
  await page.waitForURL((url) => url.searchParams.get('q') === words);
}

/** The names on the page. */
const names = (page) => page.getByRole('main').getByRole('rowheader').getByRole('link').allTextContents();

for (const way of WAYS) {
  for (const [what, words] of [['the middle of its name', 'que-177123.ma'], ['the shop\'s id', 'stall-177123']]) {
    test(`a domain is found among 100,000 by ${what}, ${way.words}`, async () =>
      onPage({ ...way, session: await signedIn() }, async (page) => {
        await search(page, words);
        assert.deepEqual(await names(page), [NAME]);
        await page.getByRole('link', { name: NAME }).click();
        await page.getByRole('heading', { level: 1, name: NAME }).waitFor();
      }));
  }

  test(`a domain is found among 100,000 although its name is misspelt, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      // What is similar is looked for during a fifth of a second at most, within which a busy machine may find nothing.
      const similar = page.getByText('These are similar');
      const isShown = () => similar.waitFor({ timeout: 3_000 }).then(() => true, () => false);
      const deadline = Date.now() + 30_000;
      let shown = false;
      while (!shown && Date.now() < deadline) {
        await search(page, 'boutiqe-177123.many-shops.test');
        shown = await isShown();
      }
      assert.ok(shown, 'nothing similar was found');
      assert.ok((await names(page)).includes(NAME));
    }));

  test(`a list of 100,000 is read page by page, none twice, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      await search(page, 'many-shops');
      const seen = new Set();
      for (let number = 1; number <= 3; number += 1) {
        const listed = await names(page);
        assert.equal(listed.length, 50);
        listed.forEach((name) => seen.add(name));
        assert.equal(seen.size, 50 * number);
        const before = page.url();
        await page.getByRole('link', { name: 'Next page' }).click();
        await page.waitForURL((url) => url.href !== before);
      }
    }));
}
