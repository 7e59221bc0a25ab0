// A domain, from its registration to its certificate, and one that fails.

import test from 'node:test';
import assert from 'node:assert/strict';
import { WAYS, onPage, signedIn } from '../src/browser.mjs';
import { freshName, stage } from '../src/stage.mjs';
import { put } from '../src/api.mjs';

/** Every step on real parts: DNS, the CA, two load balancers. */
const ACTIVE_WITHIN = 60_000;

for (const way of WAYS) {
  test(`a domain is watched until it is active, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      const name = freshName();
      await put(`/v1/domains/${name}`, { external_id: 'shop-1' });
      await page.goto(`/domains/${name}`);
      // Nobody touches the page meanwhile: it goes on by itself.
      await page.getByText('Active on every load balancer').waitFor({ timeout: ACTIVE_WITHIN });
      await page.getByText('Valid until').waitFor();
    }));

  test(`a domain is found by the beginning of its name, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      await page.goto('/');
      await page.getByRole('searchbox').fill(stage.active.slice(0, 5));
      await page.getByRole('searchbox').press('Enter');
      await page.getByRole('link', { name: stage.active }).click();
      await page.getByRole('heading', { level: 1, name: stage.active }).waitFor();
    }));

  test(`a failure is read with its fix, and tried again by a button, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      await page.goto('/?show=attention');
      await page.getByRole('link', { name: stage.failing }).click();
      await page.getByRole('heading', { name: 'What is wrong' }).waitFor();
      await page.getByText('What to do:').first().waitFor();
      const looked = await page.getByText('Last looked at').textContent();
      await page.getByRole('button', { name: 'Check now' }).click();
      await page.waitForURL(`**/domains/${stage.failing}*`);
      await page.getByText('Last looked at').waitFor();
      assert.ok(looked);
    }));
}
