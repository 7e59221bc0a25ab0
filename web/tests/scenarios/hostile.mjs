// Hostile words through every form that is found, and through every string that the API takes.

import test from 'node:test';
import assert from 'node:assert/strict';
import { onPage, signedIn } from '../src/browser.mjs';
import { crawl } from '../src/crawl.mjs';
import { HOSTILE, HOSTILE_BYTES, REFUSED_NAMES } from '../src/hostile.mjs';
import { formsOn, shapeOf } from '../src/forms.mjs';
import { operations, stringsOf } from '../src/operations.mjs';
import { stage } from '../src/stage.mjs';

/** Ends what the test goes by. */
const NOT_SENT = ['/logout'];

test('every form takes hostile words or refuses them, and no page runs them', async (context) =>
  onPage({ session: await signedIn() }, async (page) => {
    const forms = await allForms(page);
    assert.ok(forms.length > 0, 'forms were found');
    let sent = 0;
    const wrong = [];
    for (const form of forms) {
      for (const [field, words] of trials(form)) {
        const answer = await send(page, form, field, words);
        sent += 1;
        const isClear = answer.status() < 500 && !(answer.status() === 400 && (await answer.text()) === '');
        if (!isClear) wrong.push(`${form.method} ${form.action} ${field}=${words.slice(0, 60)}: ${answer.status()}`);
      }
    }
    assert.deepEqual(wrong, []);
    context.diagnostic(`${forms.length} forms, ${sent} hostile requests, 0 x 5xx`);
    // The same once as people do it: typed into the page.
    for (const form of forms) await type(page, form, HOSTILE[0]);
    const seen = await crawl(page, ['/', '/domains?refresh=off'], shapeOf, async () => {});
    context.diagnostic(`${seen.size} kinds of pages looked at afterwards`);
    assert.equal(await page.evaluate(() => document.cookie.includes('hostile')), false);
  }));

test('every string of the API takes hostile words or refuses them with a reason', async (context) => {
  let sent = 0;
  const wrong = [];
  for (const token of [stage.platformToken, stage.tenantToken]) {
    for (const operation of await operations(token)) {
      for (const string of stringsOf(operation)) {
        for (const words of [...HOSTILE, ...(string.isName ? REFUSED_NAMES : [])]) {
          const answer = await operation.send(string.put(words));
          sent += 1;
          const fault = faultOf(answer);
          if (fault) wrong.push(`${operation.words} ${string.pointer}=${words.slice(0, 60)}: ${fault}`);
        }
      }
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(sent > 0);
  context.diagnostic(`${sent} hostile requests, 0 x 5xx`);
});

/** What is wrong with an answer to hostile words; nothing where it takes them, or says clearly why not. */
function faultOf({ status, body }) {
  if (status >= 500) return `answered ${status}`;
  if (status < 400) return undefined;
  return body?.code && body.detail ? undefined : `answered ${status} without a reason: ${JSON.stringify(body)}`;
}

/** The forms of all pages, each kind once. */
async function allForms(page) {
  const found = new Map();
  await crawl(page, ['/domains?refresh=off'], shapeOf, async () => {
    for (const form of await formsOn(page)) {
      // Rows of a table have the same form each, but for the id in its path.
      const kind = [form.method, shapeOf(form.action), ...form.fields.map(({ name }) => name)].join(' ');
      if (!NOT_SENT.includes(form.action)) found.set(kind, form);
    }
  });
  return [...found.values()];
}

/** Each field of a form with each of the words that it has to bear. */
function* trials(form) {
  for (const field of form.fields.filter((one) => one.name !== 'csrf')) {
    for (const words of HOSTILE) yield [field.name, words];
    for (const bytes of HOSTILE_BYTES) yield [field.name, { bytes, slice: () => bytes }];
    if (/^(name|domain)s?$/.test(field.name)) for (const name of REFUSED_NAMES) yield [field.name, name];
  }
}

/** Sends a form's fields as they stand, but for one. */
async function send(page, form, hostile, words) {
  const pairs = form.fields.map(({ name, value }) => {
    const text = name === hostile ? (words.bytes ?? encodeURIComponent(words)) : encodeURIComponent(value);
    return `${encodeURIComponent(name)}=${text}`;
  });
  const url = new URL(form.action, stage.url);
  if (form.method === 'GET') return page.request.get(`${url}?${pairs.join('&')}`, { maxRedirects: 0 });
  const isMultipart = form.encoding === 'multipart/form-data';
  if (isMultipart) {
    const multipart = Object.fromEntries(
      form.fields.map(({ name, value }) => [name, name === hostile ? String(words.bytes ?? words) : value]),
    );
    return page.request.post(url.href, { multipart, headers: { origin: stage.url }, maxRedirects: 0 });
  }
  const headers = { origin: stage.url, 'content-type': 'application/x-www-form-urlencoded' };
  return page.request.post(url.href, { data: pairs.join('&'), headers, maxRedirects: 0 });
}

/** Types hostile words into every field of a form on its page, and sends it. */
async function type(page, form, words) {
  // A page of its own: whatever the form leads to may still be loading when the next one is opened.
  const own = await page.context().newPage();
  await own.goto(form.page);
  const path = new URL(form.action, stage.url).pathname;
  const answered = own.waitForResponse((answer) => new URL(answer.url()).pathname === path);
  if (await own.evaluate(fillAndSend, { kind: form.kind, words })) {
    await answered;
    await own.waitForLoadState();
  } else {
    answered.catch(() => {});
  }
  await own.close();
}

/** In the page: the checks of the browser are by no means the server's, and are left out. */
function fillAndSend({ kind, words }) {
  const kindOf = (form) => {
    const names = [...form.elements].map((field) => field.name).filter((name) => name);
    return `${form.method} ${new URL(form.getAttribute('action') ?? '', location.href).pathname} ${names.sort()}`;
  };
  const form = [...document.forms].find((one) => kindOf(one) === kind);
  const texts = [...(form?.elements ?? [])].filter((field) => field.matches('input:not([type=hidden], [type=file]), textarea'));
  if (!form || texts.length === 0) return false;
  for (const field of texts) field.value = words;
  form.noValidate = true;
  form.requestSubmit();
  return true;
}
