/**
 * The chain of epochs, as heads tell of it: which comes after which. Pure. The same rule as migctl/target/chain.py, so that readers
 * and relay never part over which epoch is the newest, whatever heads say.
 *
 * @typedef {{epoch: string, prev_epoch: string | null, lost_from: number | null, lost_to: number | null, started_at: string,
 *   table_tail: number, table_head: number, journal_head: number}} Head What the table knows of an epoch.
 */

/** The epoch that nobody follows; of several the one that began last. @param {Head[]} heads */
export function newest(heads) {
  const followed = new Set(before(heads).values());
  return heads.filter((head) => !followed.has(head.epoch)).sort(byAge).at(-1) ?? null;
}

/** The epoch that comes after this one; of several the one that began first. @param {string} epoch @param {Head[]} heads */
export function following(epoch, heads) {
  const chain = before(heads);
  return heads.filter((head) => chain.get(head.epoch) === epoch).sort(byAge)[0] ?? null;
}

/**
 * Where the stream goes on that no chain leads to from `epoch`: the first epoch that only the newest one comes from. Null where
 * `epoch` is the newest, or comes before it.
 * @param {string} epoch @param {Head[]} heads
 */
export function elsewhere(epoch, heads) {
  const end = newest(heads);
  if (end === null) return null;
  const chain = before(heads);
  const path = backFrom(end.epoch, chain);
  if (path.includes(epoch)) return null;
  const passed = new Set(backFrom(epoch, chain));
  const at = path.reverse().find((each) => !passed.has(each));
  return heads.find((head) => head.epoch === at) ?? null;
}

/** @param {Head} one @param {Head} other */
function byAge(one, other) {
  const [a, b] = [micros(one.started_at), micros(other.started_at)];
  if (a !== b) return a - b;
  return one.epoch < other.epoch ? -1 : 1;
}

/** Date knows milliseconds, PostgreSQL microseconds. @param {string} text */
function micros(text) {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '';
  return Date.parse(text.replace(/\.\d+/, '')) * 1000 + Number(fraction.padEnd(6, '0').slice(0, 6));
}

/** What each epoch follows, as far as heads know that one; no way along it is a circle. @param {Head[]} heads */
function before(heads) {
  const byEpoch = new Map(heads.map((head) => [head.epoch, head]));
  /** @type {Map<string, string | null>} */
  const chain = new Map(heads.map((head) => [head.epoch, byEpoch.has(head.prev_epoch ?? '') ? head.prev_epoch : null]));
  const done = new Set();
  for (const epoch of byEpoch.keys()) {
    /** @type {string[]} */
    const path = [];
    /** @type {string | null | undefined} */
    let at = epoch;
    for (; at != null && !done.has(at) && !path.includes(at); at = chain.get(at)) path.push(at);
    if (at != null && path.includes(at)) {
      const circle = path.slice(path.indexOf(at)).flatMap((each) => byEpoch.get(each) ?? []);
      chain.set(circle.sort(byAge)[0].epoch, null);
    }
    for (const each of path) done.add(each);
  }
  return chain;
}

/** @param {string} epoch @param {Map<string, string | null>} chain */
function backFrom(epoch, chain) {
  /** @type {string[]} */
  const path = [];
  for (let at = chain.has(epoch) ? epoch : null; at != null; at = chain.get(at) ?? null) path.push(at);
  return path;
}
