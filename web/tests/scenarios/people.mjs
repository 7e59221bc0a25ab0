// People who are invited.

import test from 'node:test';
import { WAYS, onPage, signedIn } from '../src/browser.mjs';

for (const way of WAYS) {
  test(`a user is invited, and stands in the list, ${way.words}`, async () =>
    onPage({ ...way, session: await signedIn() }, async (page) => {
      const email = `eve-${way.javaScriptEnabled}@nordwind.test`;
      await page.goto('/users');
      await page.getByRole('link', { name: 'Invite' }).first().click();
      await page.getByLabel('E-mail address').fill(email);
      await page.getByLabel('Name', { exact: true }).fill('Eve');
      await page.getByRole('button', { name: 'Invite' }).click();
      await page.goto('/users');
      await page.getByText(email).first().waitFor();
    }));
}
