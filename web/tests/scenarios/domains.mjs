// A domain, from its registration to its certificate, and one that fails.

import test from 'node:test';
import assert from 'node:assert/strict';
import { WAYS, onPage, signedIn } from '../src/browser.mjs';
import { freshName, stage } from '../src/stage.mjs';
import { put } from '../src/api.mjs';

/** Every step on real parts: DNS, the CA, two load balancers. */
const ACTIVE_WITHIN = 60_000;

for (const way of WAYS) {
  test(`a domain is added, and watched until it is active, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      const name = freshName();
      await page.goto('/domains');
      await page.getByRole('link', { name: 'Add a domain' }).click();
      await page.getByLabel('Domain', { exact: true }).fill(name);
      await page.getByLabel('Tenant').selectOption({ label: 'Nordwind' });
      await page.getByRole('button', { name: 'Add the domain' }).click();
      await page.getByText(`${name} is registered`).waitFor();
      // Nobody touches the page meanwhile: it goes on by itself.
      await page.getByText('Active on every load balancer').waitFor({ timeout: ACTIVE_WITHIN });
      await page.getByText('Valid until').waitFor();
    }));

  test(`a name that cannot be used is refused with the reason, and what was typed stays, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      await page.goto('/domains/new');
      await page.getByLabel('Domain', { exact: true }).fill('no spaces.test');
      await page.getByLabel('Tenant').selectOption({ label: 'Nordwind' });
      await page.getByLabel('The shop').fill('shop-7');
      await page.getByRole('button', { name: 'Add the domain' }).click();
      await page.getByRole('alert').waitFor();
      assert.equal(await page.getByLabel('Domain', { exact: true }).inputValue(), 'no spaces.test');
      assert.equal(await page.getByLabel('The shop').inputValue(), 'shop-7');
    }));

  test(`a domain is found by a part of its name, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      await page.goto('/domains');
      const search = page.getByRole('main').getByRole('searchbox');
      await search.fill(stage.active.slice(1, 5));
      await search.press('Enter');
      await page.getByRole('link', { name: stage.active }).click();
      await page.getByRole('heading', { level: 1, name: stage.active }).waitFor();
    }));

  test(`a domain is removed after a question, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      const name = freshName();
      await put(`/v1/domains/${name}`, {});
      await page.goto(`/domains/${name}`);
      await page.getByText('Actions').click();
      await page.getByRole('link', { name: 'Remove' }).click();
      await page.getByRole('button', { name: 'Remove the domain' }).click();
      await page.getByText('Being removed').or(page.getByRole('heading', { name: 'Domains' })).first().waitFor();
    }));

  test(`a failure is read with its fix, and tried again by a button, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      await page.goto('/domains?show=attention');
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
