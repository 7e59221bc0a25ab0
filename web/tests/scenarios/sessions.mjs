// In by a link, out by a button.

import test from 'node:test';
import assert from 'node:assert/strict';
import { WAYS, logIn, onPage } from '../src/browser.mjs';
import { loginLink } from '../src/stage.mjs';

for (const way of WAYS) {
  test(`a link opens the dashboard once, and the button ends the session, ${way.words}`, () =>
    onPage(way, async (page) => {
      const link = loginLink();
      await page.goto(link);
      await page.getByRole('button', { name: 'Open the dashboard' }).click();
      await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();

      await page.getByRole('button', { name: 'Log out' }).click();
      await page.getByRole('heading', { name: 'Log in' }).waitFor();
      await page.goto('/');
      assert.equal(new URL(page.url()).pathname, '/login', 'nobody sees a page without logging in');

      await page.goto(link);
      await page.getByRole('button', { name: 'Open the dashboard' }).click();
      await page.getByRole('heading', { name: 'This link opens nothing' }).waitFor();
    }));
}

test('a session is a cookie that no script reads', () =>
  onPage({}, async (page) => {
    await logIn(page);
    const cookies = await page.context().cookies();
    assert.equal(cookies.length, 1);
    assert.equal(cookies[0].httpOnly, true);
    assert.equal(cookies[0].sameSite, 'Lax');
    assert.equal(await page.evaluate(() => document.cookie), '');
  }));
