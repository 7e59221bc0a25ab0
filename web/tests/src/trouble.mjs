// What no page may do, whatever a test is about: log an error, break the policy, fail a request, ask another host, open
// a dialog. One list for each context; a context is closed by `settled`, which fails when the list is not empty.

/** The browser's words for an answer of 4xx. Of documents they are expected; of everything else `response` tells. */
const ANSWERED_4XX = /^Failed to load resource: the server responded with a status of 4\d\d/;

/** Answers of 4xx that a script asked for and shows: a form that was filled in wrongly. */
const SHOWN = new Set([409, 412, 422, 429]);

/**
 * Lists what goes wrong in `context` from now on.
 * @param {import('playwright-core').BrowserContext} context
 * @param {string} origin the only one that may be asked
 * @returns {string[]}
 */
export function watch(context, origin) {
  const trouble = [];
  context.on('console', (message) => {
    if (message.type() !== 'error' || ANSWERED_4XX.test(message.text())) return;
    trouble.push(`console error on ${message.page()?.url()}: ${message.text()}`);
  });
  context.on('weberror', (error) => trouble.push(`uncaught error: ${error.error().message}`));
  context.on('dialog', (dialog) => {
    trouble.push(`a dialog opened on ${dialog.page()?.url()}: ${dialog.message()}`);
    dialog.dismiss().catch(() => {});
  });
  context.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !url.startsWith('data:')) trouble.push(`a request elsewhere: ${url}`);
  });
  context.on('requestfailed', (request) => {
    const reason = request.failure()?.errorText;
    // A page that is left gives up what it was loading.
    if (reason !== 'net::ERR_ABORTED') trouble.push(`${request.method()} ${request.url()} failed: ${reason}`);
  });
  context.on('response', (response) => {
    const request = response.request();
    const isDocument = request.resourceType() === 'document';
    const status = response.status();
    if (status >= 500 || (status >= 400 && !isDocument && !SHOWN.has(status))) {
      trouble.push(`${request.method()} ${response.url()} was answered ${status}`);
    }
  });
  return trouble;
}
