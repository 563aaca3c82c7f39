/** Flow: the merge between those who receive and the one who takes. A slow consumer costs bounded memory. */
import { Merge } from './core/merge.js';
import { MigctlError, News, now } from './waiting.js';

/**
 * @typedef {import('./core/items.js').Item} Item
 * @typedef {import('./core/items.js').Position} Position
 */

export class Flow {
  /** @param {Merge} [merge] */
  constructor(merge = new Merge()) {
    this.merge = merge;
    /** Woken when a gap opens or somebody asks for attention. */
    this.changed = new News();
    this._wanted = new News();
    this._taken = new News();
    this._waiting = false;
    this._ended = false;
    /** @type {unknown} */
    this._failure = null;
  }

  /** @param {Position} position */
  start(position) {
    this.merge.start(position, now());
    this._wake();
  }

  /** What came live: it can't wait. What does not fit is paged for later. @param {Item[]} items */
  offer(items) {
    this.merge.offerAll(items, now());
    this._wake();
  }

  /** @param {string} epoch @param {number} head */
  hear(epoch, head) {
    this.merge.hear(epoch, head, now());
    this._wake();
  }

  /** @param {string} epoch @param {number} seq */
  name(epoch, seq) {
    this.merge.name(epoch, seq, now());
    this._wake();
  }

  /** What came from a page: waits until the consumer has made room. @param {Item} item @param {AbortSignal} signal */
  async put(item, signal) {
    while (!this.merge.fits(item)) {
      await this._taken.wait(Infinity, signal);
      signal.throwIfAborted();
    }
    this.offer([item]);
  }

  /** @param {number} to @param {string} reason */
  lose(to, reason) {
    this.merge.lose(to, reason, now());
    this._wake();
  }

  /** @param {Position} position @param {{lost?: [number, number] | null, reason?: string | null}} [loss] */
  nextEpoch(position, loss) {
    this.merge.nextEpoch(position, now(), loss);
    this._wake();
  }

  /** Let the consumer take what is ready, then raise this. @param {unknown} error */
  fail(error) {
    this._failure ??= error;
    this._wanted.wake();
  }

  /** Let the consumer take what is ready, then finish. */
  end() {
    this._ended = true;
    this._wanted.wake();
  }

  /** What can be released, as soon as it can; empty at the end. One taker at a time. @param {number} limit */
  async take(limit) {
    if (this._waiting) {
      throw new MigctlError('this subscriber is iterated twice at once', 'iterate once and hand on what comes, or make a second Subscriber', { retry: false });
    }
    for (;;) {
      const batch = this.merge.take(limit);
      this._taken.wake();
      if (batch.length > 0) return batch;
      if (this._failure !== null) throw this._failure;
      if (this._ended) return [];
      this._waiting = true;
      await this._wanted.wait(Infinity);
      this._waiting = false;
    }
  }

  _wake() {
    this._wanted.wake();
    if (this.merge.repairAt() !== null) this.changed.wake();
  }
}
