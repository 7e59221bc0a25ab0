// Many domains at once: chosen in the list, paused after a question, followed to the end, and resumed.

import assert from 'node:assert/strict';
import test from 'node:test';
import { WAYS, onPage, signedIn } from '../src/browser.mjs';
import { put } from '../src/api.mjs';

/** Names that nobody looks for elsewhere, and that lead nowhere. */
const namesFor = (way) => ['one', 'two', 'left'].map((word) => `bulk-${way.javaScriptEnabled ? 'js' : 'plain'}-${word}.example-shops.test`);

/** Chooses both names in the list, and what is to be done with them; leads to the operation's page. */
async function choose(page, [one, two], button, title) {
  await page.goto('/domains?q=bulk-&refresh=off');
  await page.getByRole('checkbox', { name: `Choose ${one}` }).check();
  await page.getByRole('checkbox', { name: `Choose ${two}` }).check();
  await page.getByRole('button', { name: button }).click();
  await page.getByRole('heading', { level: 1, name: `${title.replace('domains', '2 domains')}?` }).waitFor();
  await page.getByRole('listitem').filter({ hasText: one }).waitFor();
  await page.getByRole('button', { name: title }).click();
  await page.getByRole('heading', { level: 1, name: title }).waitFor();
  // Nobody touches the page meanwhile: it goes on by itself.
  await page.getByText('2 of 2 lines done.').waitFor();
  await page.getByText('Every line has its result.').waitFor();
}

/** How the domain stands, as its page says it. */
async function shows(page, name, words) {
  await page.goto(`/domains/${name}?refresh=off`);
  await page.getByRole('region', { name: 'Status' }).getByText(words, { exact: true }).waitFor();
}

for (const way of WAYS) {
  test(`two domains are paused together, watched until it is done, and resumed, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      const [one, two, left] = namesFor(way);
      for (const name of [one, two, left]) await put(`/v1/domains/${name}`, {});
      await choose(page, [one, two], 'Pause', 'Pause domains');
      await shows(page, one, 'Paused');
      await shows(page, two, 'Paused');
      await page.getByText('It is paused.', { exact: true }).first().waitFor();
      assert.equal(await page.getByRole('button', { name: 'Renew now' }).isDisabled(), true);
      await page.goto(`/domains/${left}?refresh=off`);
      assert.equal(await page.getByRole('button', { name: 'Resume' }).count(), 0, 'nobody chose it');

      await choose(page, [one, two], 'Resume', 'Resume domains');
      await page.goto(`/domains/${one}?refresh=off`);
      await page.getByRole('button', { name: 'Pause' }).waitFor();
      await page.goto('/operations');
      await page.getByRole('link', { name: 'Resume domains' }).first().waitFor();
    }));

  test(`one domain is paused and resumed by its buttons, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      const [one] = namesFor(way);
      await put(`/v1/domains/${one}`, {});
      await page.goto(`/domains/${one}?refresh=off`);
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.getByText('What is served stays served').waitFor();
      await page.getByRole('button', { name: 'Resume' }).click();
      await page.getByText('It goes on.').waitFor();
    }));
}

test('the boxes of a page are checked by one box, and counted', async () =>
  onPage({ session: await signedIn() }, async (page) => {
    const [one, two, left] = namesFor(WAYS[0]);
    for (const name of [one, two, left]) await put(`/v1/domains/${name}`, {});
    await page.goto('/domains?q=bulk-js&refresh=off');
    await page.getByRole('checkbox', { name: 'This page' }).check();
    await page.getByText('3 chosen').waitFor();
    await page.getByRole('checkbox', { name: `Choose ${left}` }).uncheck();
    await page.getByText('2 chosen').waitFor();
  }));
