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
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;
      const done = () => {
        clearTimeout(timer);
        this._waiting.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      if (signal?.aborted) return done();
      if (seconds < 1e6) timer = setTimeout(done, Math.max(0, seconds) * 1000);
      this._waiting.add(done);
      signal?.addEventListener('abort', done);
    });
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
    throw new MigctlError(`${new URL(url).origin} does not answer: ${words(error)}`, 'nothing: it is tried again');
  }
}

/** @param {unknown} error */
export function words(error) {
  const cause = /** @type {any} */ (error)?.cause;
  return `${/** @type {any} */ (error)?.message ?? error}${cause?.message ? ` (${cause.message})` : ''}`;
}
