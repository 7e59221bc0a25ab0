// The API beside the pages, as a commerce backend calls it.

import { stage } from './stage.mjs';

/** Sends a request with the tenant's token, and fails unless it is answered 2xx. */
export async function put(path, body) {
  const answer = await fetch(stage.url + path, {
    method: 'PUT',
    headers: { authorization: `Bearer ${stage.tenantToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`PUT ${path} was answered ${answer.status}: ${text}`);
  return JSON.parse(text);
}
