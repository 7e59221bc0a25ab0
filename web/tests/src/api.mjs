// The API beside the pages, as a commerce backend calls it.

import { setTimeout } from 'node:timers/promises';
import { stage } from './stage.mjs';

/** Sends a request with the tenant's token, and fails unless it is answered 2xx. */
export function put(path, body) {
  return send('PUT', path, stage.tenantToken, body);
}

/** The id of the first thing in a list, as the platform sees it. */
export async function firstOf(path) {
  const { data } = await send('GET', path, stage.platformToken);
  if (data.length === 0) throw new Error(`${path} lists nothing; the stage has to have one`);
  return data[0].id;
}

/** The id of a domain. */
export async function idOf(name) {
  return (await send('GET', `/v1/domains/${name}`, stage.platformToken)).id;
}

/** Has lines worked on for the tenant, waits until every one has its result, and answers the operation's id. */
export async function bulk(lines) {
  const body = lines.map((line) => JSON.stringify(line)).join('\n');
  const { id } = await send('POST', '/v1/bulk', stage.tenantToken, body, 'application/x-ndjson');
  while (!(await send('GET', `/v1/operations/${id}`, stage.tenantToken)).finished_at) await setTimeout(100);
  return id;
}

async function send(method, path, token, body, kind = 'application/json') {
  const headers = { authorization: `Bearer ${token}`, 'content-type': kind };
  const sent = typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await fetch(stage.url + path, { method, headers, body: sent });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${text}`);
  return JSON.parse(text);
}
