// What an application may do wrong, or have done to it: `node rough.mjs CLIENT, URL OF SERVE, NAME`. Prints what came of it, and then has to
// end by itself: nothing that is closed keeps a process alive.
const [entry, url, name] = process.argv.slice(2);
const { MigctlError, Subscriber } = await import(entry);
const unhandled = [];
process.on('unhandledRejection', (error) => unhandled.push(String(error)));
const complaints = [];
console.error = (error) => complaints.push(String(error));

const post = async (count) => {
  const events = Array.from({ length: count }, (_, n) => ({ event_type: 'cpu', data: { n } }));
  const answer = await fetch(`${url}/events`, { method: 'POST', body: JSON.stringify(events), headers: { 'Content-Type': 'application/json' } });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
};
const take = async (events, count) => {
  const seqs = [];
  for await (const { seq } of events) if (seqs.push(seq) === count) break;
  return seqs;
};
const refusal = async (promise) => {
  try {
    await promise;
    return null;
  } catch (error) {
    return { ours: error instanceof MigctlError, what: error.what ?? String(error), retry: error.retry };
  }
};
const storageOf = (items, more = {}) => ({ getItem: (key) => items[key] ?? null, setItem: (key, text) => void (items[key] = text), ...more });
const KEY = 'migctl.position.board';
const kept = async (storage) => {
  const logs = [];
  const events = new Subscriber(url, { keep: 'board', storage, log: (what) => logs.push(what) });
  const { seq } = await events.ready();
  await post(2);
  return { began: seq, seqs: await take(events, 2), logs };
};

const ROUGH = {
  async leaves() {
    const events = new Subscriber(url);
    await events.ready();
    await post(3);
    return take(events, 2);
  },
  async closes() {
    const events = new Subscriber(url);
    await events.ready();
    await events.close();
    await events.close();
    return take(events, 1);
  },
  async 'closes at once'() {
    const events = new Subscriber(url);
    const ready = refusal(events.ready());
    await events.close();
    const unopened = new Subscriber(url);
    await unopened.close();
    return [await ready, await refusal(unopened.ready()), await take(unopened, 1)];
  },
  async 'throws in what is called'() {
    const fail = () => {
      throw new Error('a mistake of the application');
    };
    const events = new Subscriber(url, { onChange: fail, log: fail });
    await events.ready();
    await post(3);
    const seqs = await take(events, 3);
    return { seqs, reconnects: events.reconnects, complained: complaints.length > 0 };
  },
  async 'iterates twice'() {
    const events = new Subscriber(url);
    await events.ready();
    const first = take(events, 3);
    const second = await refusal(take(events, 1));
    await post(3);
    return [await first, second];
  },
  async 'has a storage that throws'() {
    const fail = () => {
      throw new DOMException('denied', 'SecurityError');
    };
    return kept({ getItem: fail, setItem: fail });
  },
  async 'has a storage that is switched off'() {
    for (const storage of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(globalThis, storage, {
        configurable: true,
        get: () => {
          throw new DOMException('denied', 'SecurityError');
        },
      });
    }
    return kept(undefined);
  },
  async 'has a storage that is full'() {
    const fail = () => {
      throw new DOMException('full', 'QuotaExceededError');
    };
    return kept(storageOf({}, { setItem: fail }));
  },
  async 'has a storage that others wrote'() {
    const found = [];
    await post(1);
    for (const text of ['', '{', 'null', '[]', '7', '"a"', '["a"]', '["a", -1]', '["a", 1.5]', '["", 0]', '[1, 2]', '{"epoch": "a", "seq": 1}', '[["a"], 1]']) {
      const { began, seqs } = await kept(storageOf({ [KEY]: text }));
      found.push(seqs[0] === began + 1 && seqs[1] === began + 2);
    }
    return found;
  },
  async 'has two tabs'() {
    const shared = {};
    Object.defineProperty(globalThis, 'localStorage', { configurable: true, value: storageOf(shared) });
    const tab = (own) => {
      Object.defineProperty(globalThis, 'sessionStorage', { configurable: true, value: storageOf(own) });
      return new Subscriber(url, { keep: 'board' });
    };
    const [one, other] = [{}, {}];
    const behind = tab(one);
    const ahead = tab(other);
    const from = (await behind.ready()).seq;
    await ahead.ready();
    await post(10);
    const slow = behind[Symbol.asyncIterator]();
    await slow.next();
    for await (const { seq } of ahead) if (seq === from + 10) await ahead.close();
    await new Promise((resolve) => setTimeout(resolve, 300)); // so that the slow one writes, too
    await slow.next();
    await slow.next();
    await behind.close();
    await post(2);
    // How far each was is what it kept; how often that is written is a matter of time.
    const at = (items) => JSON.parse(items[KEY])[1] - from;
    const places = { behind: at(one), ahead: at(other), fresh: at(shared) };
    const counted = async (own) => (await take(tab(own), 2)).map((seq) => seq - from);
    const [fresh, ...rest] = [await counted({}), await counted(one), await counted(other)];
    return { places, first: { behind: rest[0][0], ahead: rest[1][0], fresh: fresh[0] } };
  },
  async 'is left before it was read'() {
    const items = {};
    const storage = storageOf(items);
    const first = new Subscriber(url, { keep: 'board', storage });
    const { epoch, seq } = await first.ready();
    await first.close();
    await post(20);
    const texts = [];
    for (let n = 0; n < 10; n++) {
      const events = new Subscriber(url, { keep: 'board', storage });
      await events.ready();
      await new Promise((resolve) => setTimeout(resolve, 10)); // what was missed is here, and nobody took it
      await events.close();
      texts.push(items[KEY]);
    }
    return texts.every((text) => text === JSON.stringify([epoch, seq]));
  },
  async 'gives no token'() {
    const logs = [];
    const fails = [() => Promise.reject(new Error('signed out')), () => Promise.resolve(undefined), () => new Promise(() => {}), () => fails.none()];
    const found = [];
    for (const accessToken of fails) {
      const events = new Subscriber(url, { accessToken, log: (what) => logs.push(what) });
      await events.ready();
      await post(1);
      const seqs = await take(events, 1);
      found.push(seqs.length);
    }
    return found;
  },
  async 'has nobody who answers'() {
    const events = new Subscriber(url, { waitS: 0.5 });
    return [await refusal(events.ready()), await refusal(take(events, 1))];
  },
  async 'leaves who does not answer'() {
    const events = new Subscriber(url);
    const ready = refusal(events.ready());
    await new Promise((resolve) => setTimeout(resolve, 50));
    await events.close();
    return ready;
  },
};

const result = await ROUGH[name]();
await new Promise((resolve) => setTimeout(resolve, 0));
process.stdout.write(`${JSON.stringify({ result, unhandled })}\n`);
