// A subscriber in Node, a JSON line for each thing that happens: `node follow.mjs URL OF CLIENT, URL OF SERVE, OPTIONS`. Ends with its stdin.
import { readFileSync, writeFileSync } from 'node:fs';

const [client, url, options] = process.argv.slice(2);
const { Discontinuity, Subscriber } = await import(client);
const { storageFile, ...rest } = JSON.parse(options);
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// What a page has as localStorage, in a file.
const storage = storageFile && {
  getItem: () => {
    try {
      return readFileSync(storageFile, 'utf8');
    } catch {
      return null;
    }
  },
  setItem: (_, text) => writeFileSync(storageFile, text),
};
const events = new Subscriber(url, {
  ...rest,
  ...(storage ? { storage } : {}),
  onChange: (of) => print({ attached: [...of.attached].sort(), assigned: of.assigned }),
  log: (what, more) => process.stderr.write(`${what} ${JSON.stringify(more)}\n`),
});
process.stdin.on('end', () => events.close()).resume();
try {
  print({ ready: await events.ready() });
  for await (const item of events) {
    if (item instanceof Discontinuity) print({ gap: item });
    else print({ id: item.id, epoch: item.epoch, seq: item.seq, via: item.via, transport: item.transport, data: item.data, times: [item.timestamp, item.committedAt] });
  }
  print({ end: events.position, buffersDropped: events.merge.buffersDropped });
} catch (error) {
  print({ error: error.message, retry: error.retry });
}
// A socket whose other end is deaf closes for ever, and Node waits for it.
process.stdout.write('', () => process.exit(0));
