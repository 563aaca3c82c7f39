// What a script of a page needs beside the module, in Node: `node page.mjs SCRIPT, URL OF SERVE, FILE OF ITS STORAGE`. Each call of the page's
// own functions is a JSON line.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [script, url, stored] = process.argv.slice(2);
const items = existsSync(stored) ? JSON.parse(readFileSync(stored, 'utf8')) : {};
globalThis.location = new URL(url);
globalThis.document = { body: { dataset: { user: 'ann' } } };
Object.defineProperty(globalThis, 'localStorage', {
  value: {
    getItem: (key) => items[key] ?? null,
    setItem: (key, text) => {
      items[key] = text;
      writeFileSync(`${stored}.new`, JSON.stringify(items));
      renameSync(`${stored}.new`, stored); // a page that is killed leaves the one or the other
    },
  },
});
for (const name of ['show', 'note', 'state']) globalThis[name] = (...words) => process.stdout.write(`${JSON.stringify([name, ...words])}\n`);
await import(pathToFileURL(script));
