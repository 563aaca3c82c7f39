/** Time and waiting: the one clock, and the ways to wait for something or for a while. */

/** What went wrong, and what to do about it. retry: whether it may be better the next time. */
export class MigctlError extends Error {
  /** @param {string} what @param {string} todo */
  constructor(what, todo, { retry = true } = {}) {
    super(`${what}\n  ${todo}`);
    this.name = 'MigctlError';
    this.what = what;
    this.do = todo;
    this.retry = retry;
  }
}

const origin = Date.now() - performance.now();
let slept = 0;

/** Seconds, never back. The time that a machine slept counts, so that what was silent meanwhile is known to be lost. */
export function now() {
  const ran = performance.now();
  const unseen = Date.now() - origin - ran - slept;
  if (unseen > 1000) slept += unseen;
  return (ran + slept) / 1000;
}

/** @type {Set<() => void>} */
const setting = new Set();
const between = typeof document === 'object' && typeof MessageChannel === 'function' ? new MessageChannel() : null;
if (between !== null) {
  between.port1.onmessage = () => {
    const all = [...setting];
    setting.clear();
    for (const set of all) set();
  };
}

/**
 * A timer. In a page that nobody looks at browsers fire one that another timer has set once a minute, and one that a message has set
 * once a second: here it is always a message. Returns what ends it. @param {() => void} act @param {number} seconds
 */
export function later(act, seconds) {
  const due = performance.now() + seconds * 1000;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const set = () => void (timer = setTimeout(act, Math.max(0, due - performance.now())));
  if (between === null) set();
  else {
    setting.add(set);
    between.port2.postMessage(null);
  }
  return () => {
    setting.delete(set);
    clearTimeout(timer);
  };
}

/** Something changes now and then, and some wait for the next change. */
export class News {
  constructor() {
    /** @type {Set<() => void>} */
    this._waiting = new Set();
  }

  /** Wake who waits now, and only them. */
  wake() {
    for (const wake of [...this._waiting]) wake();
  }

  /** Returns at the next `wake`, after so many seconds, or once `signal` ends it. @param {number} seconds @param {AbortSignal} [signal] @returns {Promise<void>} */
  wait(seconds, signal) {
    return new Promise((resolve) => {
      let forget = () => {};
      const done = () => {
        forget();
        this._waiting.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      if (signal?.aborted) return done();
      if (seconds < 1e6) forget = later(done, Math.max(0, seconds));
      this._waiting.add(done);
      signal?.addEventListener('abort', done);
    });
  }
}

/**
 * What a promise brings that somebody else made, which may be never. Raises MigctlError after so many seconds, and what `signal` ends it with.
 * @template T @param {Promise<T>} promise @param {string} what it is @param {number} seconds @param {AbortSignal} [signal] @returns {Promise<T>}
 */
export async function within(promise, what, seconds, signal) {
  let forget = () => {};
  let leave = () => {};
  /** @type {Promise<never>} */
  const late = new Promise((_, reject) => {
    forget = later(() => reject(new MigctlError(`${what}: nothing within ${seconds} s`, 'nothing: it is tried again')), seconds);
    leave = () => reject(signal?.reason);
    signal?.addEventListener('abort', leave);
    if (signal?.aborted) leave();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    forget();
    signal?.removeEventListener('abort', leave);
  }
}

/** The value of a JSON text, which may be anything; undefined where it is none. @param {string} text @returns {any} */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Call what the application gave. Its mistakes are its own, and end nothing here: they are told as those of an event listener are. @param {() => void} act */
export function called(act) {
  try {
    act();
  } catch (error) {
    if (typeof reportError === 'function') reportError(error);
    else console.error(error);
  }
}

/** @param {number} seconds @param {AbortSignal} signal */
export const pause = (seconds, signal) => new News().wait(seconds, signal);

/**
 * A GET with an answer within `seconds`. Raises MigctlError where nobody answers.
 * @param {string} url @param {{headers: Record<string, string>, seconds: number, signal?: AbortSignal}} how
 */
export async function get(url, { headers, seconds, signal }) {
  const limit = AbortSignal.timeout(seconds * 1000);
  try {
    const answer = await fetch(url, { headers, cache: 'no-store', signal: signal ? AbortSignal.any([signal, limit]) : limit });
    return { status: answer.status, text: await answer.text() };
  } catch (error) {
    signal?.throwIfAborted();
    const { origin } = new URL(url);
    // A page is not told why it may not read an answer.
    const foreign = typeof location === 'object' && location.origin !== origin;
    const todo = foreign ? `see that it runs, and lets pages of ${location.origin} in (legacy.origins)` : 'nothing: it is tried again';
    throw new MigctlError(`${origin} does not answer: ${words(error)}`, todo);
  }
}

/** @param {unknown} error */
export function words(error) {
  const cause = /** @type {any} */ (error)?.cause;
  return `${/** @type {any} */ (error)?.message ?? error}${cause?.message ? ` (${cause.message})` : ''}`;
}
