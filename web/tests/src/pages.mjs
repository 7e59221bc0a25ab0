// Every page: how to reach an example of it, and who may see it. Accessibility, layout, the keyboard and the pictures go
// by this table; a page that is linked from another and has no row here fails the suite.

import { stage } from './stage.mjs';

/**
 * @typedef {object} Row
 * @property {string} name of its pictures
 * @property {RegExp} shape of the paths that are this page
 * @property {() => string} path of an example; updates by themselves are paused, which would end what looks at it
 * @property {boolean} [open] whether nobody needs to be logged in
 * @property {number} [status] the answer's, 200 unless said
 */

/** @type {Row[]} */
export const PAGES = [
  { name: 'domains', shape: /^\/(domains)?$/, path: () => '/domains?refresh=off' },
  { name: 'domain-new', shape: /^\/domains\/new$/, path: () => '/domains/new' },
  { name: 'domain-active', shape: /^\/domains\/[^/]+$/, path: () => `/domains/${stage.active}?refresh=off` },
  { name: 'domain-failing', shape: /^\/domains\/[^/]+$/, path: () => `/domains/${stage.failing}?refresh=off` },
  { name: 'domain-change', shape: /^\/domains\/[^/]+\/change$/, path: () => `/domains/${stage.active}/change` },
  { name: 'domain-remove', shape: /^\/domains\/[^/]+\/remove$/, path: () => `/domains/${stage.active}/remove` },
  { name: 'domain-link', shape: /^\/domains\/[^/]+\/link$/, path: () => `/domains/${stage.active}/link` },
  { name: 'login', shape: /^\/login$/, path: () => '/login', open: true },
  { name: 'login-link', shape: /^\/login\/[^/]+$/, path: () => new URL(stage.loginLinks[0]).pathname, open: true },
  { name: 'login-link-stale', shape: /^\/login\/[^/]+$/, path: () => '/login/nonsense', open: true, status: 410 },
  {
    name: 'password-link-stale',
    shape: /^\/password\/[^/]+$/,
    path: () => '/password/nonsense',
    open: true,
    status: 410,
  },
  { name: 'docs', shape: /^\/docs$/, path: () => '/docs', open: true },
  { name: 'docs-guide', shape: /^\/docs\/[^/]+$/, path: () => '/docs/api', open: true },
  { name: 'docs-problem', shape: /^\/docs\/problems\/[^/]+$/, path: () => '/docs/problems/caa_forbids', open: true },
  { name: 'not-found', shape: /^\/nowhere$/, path: () => '/nowhere', open: true, status: 404 },
];

/** Opens the example of a page, and fails unless it is answered as its row says. */
export async function visit(page, row) {
  const answer = await page.goto(row.path());
  const expected = row.status ?? 200;
  if (answer.status() !== expected) {
    throw new Error(`${row.name} (${row.path()}) was answered ${answer.status()}, not ${expected}`);
  }
}
