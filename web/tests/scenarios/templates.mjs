// Templates: written with a look at what they make, tried on a load balancer, published and rolled back.

import assert from 'node:assert/strict';
import test from 'node:test';
import { WAYS, onPage, signedIn } from '../src/browser.mjs';

/** Reloads until `words` are there: without scripts a page does so by itself, every few seconds. */
async function waitFor(page, words) {
  await page.getByText(words).first().waitFor({ timeout: 60_000 });
}

for (const way of WAYS) {
  test(`a template is published and rolled back, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      const header = `X-Season-${way.javaScriptEnabled}`;
      await page.goto('/templates');
      await page.getByRole('link', { name: 'storefront (shared)', exact: true }).click();
      const source = page.getByLabel('The inside of the server block');
      const before = await source.inputValue();
      const shown = page.locator('#shown');

      // A mistake is told with its line, and what was typed stays.
      await source.fill(`${before}root /etc;\n`);
      if (!way.javaScriptEnabled) await page.getByRole('button', { name: 'Show what it makes' }).click();
      await shown.getByText(/^Line \d+, character 1:/).waitFor();
      assert.match(await source.inputValue(), /root \/etc;/);

      await source.fill(`${before}add_header ${header} spring;\n`);
      if (!way.javaScriptEnabled) await page.getByRole('button', { name: 'Show what it makes' }).click();
      await shown.locator('ins', { hasText: header }).waitFor();
      await shown.locator('details[open] code', { hasText: header }).waitFor();
      await page.getByLabel('Why').fill('a header for spring');
      await page.getByRole('button', { name: 'Keep as a version' }).click();

      await page.getByRole('heading', { level: 1, name: /^storefront, version \d+$/ }).waitFor();
      assert.equal(await page.getByRole('button', { name: 'Publish' }).count(), 0, 'nothing is published untried');
      await page.getByRole('button', { name: 'Try on a load balancer' }).click();
      await waitFor(page, 'nginx takes it');
      await page.getByRole('button', { name: 'Publish' }).click();
      await page.getByText('A published version').waitFor();

      await page.getByRole('link', { name: 'Roll back' }).click();
      await page.getByRole('button', { name: 'Roll back' }).click();
      await page.getByText('The load balancers go back to').waitFor();
      await page.getByText('rolled back').first().waitFor();
    }));
}
