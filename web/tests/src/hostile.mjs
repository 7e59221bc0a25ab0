// Words that do harm wherever somebody forgot that they may come.

import { readFileSync } from 'node:fs';

const corpus = readFileSync(new URL('../../../tests/corpus/names-refused.txt', import.meta.url), 'utf8');

/** Names that are refused wherever a name comes in. */
export const REFUSED_NAMES = corpus
  .split('\n')
  .filter((line) => line.startsWith('"'))
  .map((line) => JSON.parse(line));

/** Shown as words, or refused; never run, never an error of ours. */
export const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '"><script>alert(1)</script>',
  "' onmouseover='alert(1)",
  'javascript:alert(1)',
  '//elsewhere.test/x',
  '{{7*7}}${7*7}<%= 7*7 %>',
  "'; DROP TABLE domains; --",
  'a\r\nSet-Cookie: hostile=1\r\n\r\n<b>',
  '\u202Etxt.exe\u202C',
  '\0',
  'a\0b',
  '🏴‍☠️👩‍👩‍👧‍👦',
  'e\u0301'.repeat(40),
  '../../../../etc/passwd',
  '%00%0a%ff%zz',
  '=1+1',
  '-1',
  '9'.repeat(400),
  ' ',
  'x'.repeat(10_240),
];

/** What no text in JavaScript can hold, as it stands in a form's body. */
export const HOSTILE_BYTES = ['%FF%FE', '%ED%A0%80', '%C0%AF', '%', '%u0041'];
