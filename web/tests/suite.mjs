// All browser tests, in one process with one browser: `node --test-reporter=spec suite.mjs`, with STAGE set.

import { after, before } from 'node:test';
import { start, stop } from './src/browser.mjs';

before(start);
after(stop);

await import('./scenarios/sessions.mjs');
await import('./scenarios/domains.mjs');
await import('./scenarios/many.mjs');
await import('./scenarios/bulk.mjs');
await import('./scenarios/people.mjs');
await import('./scenarios/templates.mjs');
await import('./scenarios/looks.mjs');
// Last: what it leaves behind is seen by nobody else.
await import('./scenarios/hostile.mjs');
