// Every page: how to reach an example of it, and who may see it. Accessibility, layout, the keyboard and the pictures go
// by this table; a page that is linked from another and has no row here fails the suite.

import { bulk, firstOf, idOf } from './api.mjs';
import { signedIn } from './browser.mjs';
import { stage } from './stage.mjs';

/**
 * @typedef {object} Row
 * @property {string} name of its pictures
 * @property {RegExp} shape of the paths that are this page
 * @property {() => string | Promise<string>} path of an example; updates by themselves are paused, which would end what looks at it
 * @property {boolean} [open] whether nobody needs to be logged in
 * @property {number} [status] the answer's, 200 unless said
 */

/** What an operation is asked for; of the last one nobody knows. */
const LINES = [stage.active, stage.failing, 'nobody.example-shops.test'].map((name) => ({ op: 'check', name }));

/** @type {Row[]} */
export const PAGES = [
  { name: 'overview', shape: /^\/$/, path: () => '/' },
  { name: 'certificates', shape: /^\/certificates$/, path: () => '/certificates' },
  {
    name: 'certificate',
    shape: /^\/certificates\/[^/]+$/,
    path: async () => `/certificates/${await firstOf('/v1/certificates')}`,
  },
  { name: 'orders', shape: /^\/orders$/, path: () => '/orders' },
  {
    name: 'operations',
    shape: /^\/operations$/,
    path: async () => ((await bulk(LINES)), '/operations?refresh=off'),
  },
  {
    name: 'operation',
    shape: /^\/operations\/[^/]+$/,
    path: async () => `/operations/${await bulk(LINES)}?refresh=off`,
  },
  { name: 'alerts', shape: /^\/alerts$/, path: () => '/alerts' },
  { name: 'alert', shape: /^\/alerts\/[^/]+$/, path: () => linkOn(['/alerts', '/alerts?show=over'], /\/alerts\/\w+/) },
  { name: 'domains', shape: /^\/domains$/, path: () => '/domains?refresh=off' },
  {
    name: 'domains-bulk',
    shape: /^\/domains\/bulk$/,
    path: async () => `/domains/bulk?action=pause&pick=${await idOf(stage.active)}&pick=${await idOf(stage.failing)}`,
  },
  { name: 'domain-new', shape: /^\/domains\/new$/, path: () => '/domains/new' },
  { name: 'domain-active', shape: /^\/domains\/[^/]+$/, path: () => `/domains/${stage.active}?refresh=off` },
  { name: 'domain-failing', shape: /^\/domains\/[^/]+$/, path: () => `/domains/${stage.failing}?refresh=off` },
  { name: 'domain-change', shape: /^\/domains\/[^/]+\/change$/, path: () => `/domains/${stage.active}/change` },
  { name: 'domain-remove', shape: /^\/domains\/[^/]+\/remove$/, path: () => `/domains/${stage.active}/remove` },
  { name: 'domain-link', shape: /^\/domains\/[^/]+\/link$/, path: () => `/domains/${stage.active}/link` },
  { name: 'targets', shape: /^\/targets$/, path: () => '/targets?refresh=off' },
  { name: 'target', shape: /^\/targets\/[^/]+$/, path: () => '/targets/lb1?refresh=off' },
  { name: 'target-remove', shape: /^\/targets\/[^/]+\/remove$/, path: () => '/targets/lb1/remove' },
  { name: 'templates', shape: /^\/templates$/, path: () => '/templates' },
  { name: 'template', shape: /^\/templates\/[^/]+$/, path: () => `/templates/${stage.template}` },
  {
    name: 'template-version',
    shape: /^\/templates\/[^/]+\/versions\/[^/]+$/,
    path: () => `/templates/${stage.template}/versions/1?refresh=off`,
  },
  {
    name: 'template-refused',
    shape: /^\/templates\/[^/]+\/versions\/[^/]+$/,
    path: () => `/templates/${stage.template}/versions/2?refresh=off`,
  },
  {
    name: 'template-remove',
    shape: /^\/templates\/[^/]+\/remove$/,
    path: () => `/templates/${stage.template}/remove`,
  },
  {
    name: 'template-rollback',
    shape: /^\/templates\/[^/]+\/rollback$/,
    path: () => `/templates/${stage.template}/rollback`,
  },
  { name: 'webhooks', shape: /^\/webhooks$/, path: () => '/webhooks' },
  {
    name: 'webhook',
    shape: /^\/webhooks\/[^/]+$/,
    path: async () => `/webhooks/${await firstOf('/v1/webhook-endpoints')}`,
  },
  { name: 'settings', shape: /^\/settings$/, path: () => '/settings' },
  { name: 'notifications', shape: /^\/account\/notifications$/, path: () => '/account/notifications' },
  { name: 'tenants', shape: /^\/tenants$/, path: () => '/tenants' },
  { name: 'branding', shape: /^\/branding$/, path: () => '/branding' },
  { name: 'tenant-new', shape: /^\/tenants\/new$/, path: () => '/tenants/new' },
  { name: 'tenant', shape: /^\/tenants\/[^/]+$/, path: async () => `/tenants/${await firstOf('/v1/tenants')}` },
  {
    name: 'tenant-delete',
    shape: /^\/tenants\/[^/]+\/delete$/,
    path: async () => `/tenants/${await firstOf('/v1/tenants')}/delete`,
  },
  { name: 'users', shape: /^\/users$/, path: () => '/users' },
  { name: 'user-new', shape: /^\/users\/new$/, path: () => '/users/new' },
  { name: 'user', shape: /^\/users\/[^/]+$/, path: async () => `/users/${await firstOf('/v1/users')}` },
  {
    name: 'user-remove',
    shape: /^\/users\/[^/]+\/remove$/,
    path: async () => `/users/${await firstOf('/v1/users')}/remove`,
  },
  { name: 'tokens', shape: /^\/tokens$/, path: () => '/tokens' },
  { name: 'token-new', shape: /^\/tokens\/new$/, path: () => '/tokens/new' },
  {
    name: 'token-revoke',
    shape: /^\/tokens\/[^/]+\/revoke$/,
    path: async () => `/tokens/${await firstOf('/v1/tokens')}/revoke`,
  },
  { name: 'audit', shape: /^\/audit$/, path: () => '/audit' },
  { name: 'account', shape: /^\/account$/, path: () => '/account' },
  { name: 'forgot', shape: /^\/forgot$/, path: () => '/forgot', open: true },
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
  { name: 'setup-active', shape: /^\/setup\/[^/]+$/, path: () => stage.setupLinks.active, open: true },
  { name: 'setup-failing', shape: /^\/setup\/[^/]+$/, path: () => stage.setupLinks.failing, open: true },
  { name: 'setup-stale', shape: /^\/setup\/[^/]+$/, path: () => '/setup/nonsense', open: true, status: 410 },
  { name: 'docs', shape: /^\/docs$/, path: () => '/docs', open: true },
  { name: 'docs-guide', shape: /^\/docs\/[^/]+$/, path: () => '/docs/api', open: true },
  { name: 'docs-problem', shape: /^\/docs\/problems\/[^/]+$/, path: () => '/docs/problems/caa_forbids', open: true },
  { name: 'unsubscribe-stale', shape: /^\/unsubscribe\/[^/]+$/, path: () => '/unsubscribe/nonsense', open: true, status: 410 },
  { name: 'not-found', shape: /^\/nowhere$/, path: () => '/nowhere', open: true, status: 404 },
];

/** The first link of this shape on one of these pages. */
async function linkOn(paths, shape) {
  const { cookies } = await signedIn();
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
  for (const path of paths) {
    const text = await (await fetch(stage.url + path, { headers: { cookie } })).text();
    const found = text.match(shape);
    if (found) return found[0];
  }
  throw new Error(`${paths} have no link ${shape}; the stage has to have one`);
}

/** Opens the example of a page, and fails unless it is answered as its row says. */
export async function visit(page, row) {
  const path = await row.path();
  const answer = await page.goto(path);
  const expected = row.status ?? 200;
  if (answer.status() !== expected) {
    throw new Error(`${row.name} (${path}) was answered ${answer.status()}, not ${expected}`);
  }
}
