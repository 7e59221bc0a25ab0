// One Chromium, Debian's own, and contexts in it: each with or without JavaScript, light or dark, wide or narrow.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { loginLink, stage } from './stage.mjs';
import { watch } from './trouble.mjs';

export const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 390, height: 844 };
export const NARROWEST = { width: 320, height: 640 };

/** With and without JavaScript: every scenario is run in both ways. */
export const WAYS = [
  { words: 'with JavaScript', javaScriptEnabled: true },
  { words: 'without JavaScript', javaScriptEnabled: false },
];

function findChromium() {
  const directories = (process.env.PATH ?? '').split(delimiter);
  const candidates = ['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) =>
    directories.map((directory) => join(directory, name)),
  );
  const found = candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (!found) throw new Error('no chromium is on the PATH; scripts/install-parts installs it');
  return found;
}

let browser;
let session;

/** Starts the browser. */
export async function start() {
  browser = await chromium.launch({
    executablePath: findChromium(),
    // Nothing but the stage is asked: neither a proxy nor the maker's services.
    args: ['--no-proxy-server', '--disable-background-networking', '--disable-component-update', '--no-first-run'],
  });
}

/** Ends it. */
export async function stop() {
  await browser?.close();
}

/**
 * Runs `act` on a page of a context of its own, and fails when it caused any trouble.
 * @param {{ session?: object, javaScriptEnabled?: boolean, viewport?: object, colorScheme?: 'light' | 'dark' }} options
 *   `session` is what `signedIn` answers; without it nobody is logged in.
 * @param {(page: import('playwright-core').Page, trouble: string[]) => Promise<T>} act
 * @returns {Promise<T>}
 * @template T
 */
export async function onPage({ session: storageState, ...options }, act) {
  const settings = { baseURL: stage.url, viewport: WIDE, reducedMotion: 'reduce', storageState, ...options };
  const context = await browser.newContext(settings);
  context.setDefaultTimeout(15_000);
  const trouble = watch(context, new URL(stage.url).origin);
  try {
    const page = await context.newPage();
    const result = await act(page, trouble);
    assert.deepEqual(trouble, [], 'no page causes trouble in the browser');
    return result;
  } finally {
    await context.close();
  }
}

/** Opens a session by a login link, as a person does. */
export async function logIn(page) {
  await page.goto(loginLink());
  await page.getByRole('button', { name: 'Open the dashboard' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
}

/** The cookies of a session; it is opened once for all tests that are not about that. */
export function signedIn() {
  session ??= onPage({}, async (page) => {
    await logIn(page);
    return page.context().storageState();
  });
  return session;
}
