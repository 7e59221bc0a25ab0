// The API beside the pages, as a commerce backend calls it.

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

async function send(method, path, token, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(stage.url + path, { method, headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${text}`);
  return JSON.parse(text);
}
