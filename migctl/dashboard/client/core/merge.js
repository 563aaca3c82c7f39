/**
 * Merge: makes one contiguous run out of hints that are lost, repeated and reordered, and of pages that fill the holes. Pure.
 *
 * What is at or below the position is a repeat and dropped; the next seq is ready to be released; what is above waits in a buffer
 * that is bounded in bytes. Nothing here ever leaves a hole in silence: a seq that is not coming is a `Discontinuity`, which
 * somebody who asked for it has to declare. The same rule, in the same words, is migctl/subscriber/core/merge.py.
 *
 * @typedef {import('./items.js').Item} Item
 * @typedef {import('./items.js').Position} Position
 */
import { Discontinuity, Release, same } from './items.js';

const OVERHEAD_BYTES = 600; // what an item costs beside its data

/** @param {Item} item */
const sizeOf = (item) => OVERHEAD_BYTES + (item instanceof Release ? item.bytes : 0);

/**
 * Two marks: `position` is what was taken out; `top` is how far the run reaches that is taken or ready to be taken. Until `start`
 * nothing is known, and what is offered waits. Times are seconds.
 */
export class Merge {
  constructor({ maxBufferBytes = 32 << 20, maxGap = 10_000, repairAfterS = 0.15 } = {}) {
    this.maxBufferBytes = maxBufferBytes;
    this.maxGap = maxGap;
    this.repairAfterS = repairAfterS;
    /** @type {Position | null} the last seq that was taken */
    this.position = null;
    /** @type {Position | null} up to here all is taken or ready */
    this.top = null;
    this.repeatsDropped = 0;
    this.gapsRepaired = 0;
    this.buffersDropped = 0;
    this.putOff = 0;
    /** @type {string | null} */
    this._left = null;
    /** @type {(Item | Discontinuity)[]} */
    this._ready = [];
    /** @type {Map<string, Map<number, Item>>} */
    this._above = new Map();
    /** @type {Map<string, number>} */
    this._heard = new Map();
    /** @type {Set<number>} seqs above top whose text a hint left out; bounded by maxGap */
    this._named = new Set();
    this._readyBytes = 0;
    this._aboveBytes = 0;
    /** @type {{top: Position, at: number} | null} */
    this._gapSince = null;
    this._inRepair = false;
  }

  // What it is asked

  get bytes() {
    return this._readyBytes + this._aboveBytes;
  }

  /** The highest seq of this epoch that is known to exist; at least top. */
  get heard() {
    return this.top === null ? 0 : Math.max(this.top.seq, this._heard.get(this.top.epoch) ?? 0);
  }

  /** An epoch was heard of that is neither this one nor the one before. */
  get strangeEpoch() {
    if (this.top === null) return false;
    for (const epoch of this._heard.keys()) if (epoch !== this.top.epoch && epoch !== this._left) return true;
    return false;
  }

  /** Something exists that is not ready. */
  get behind() {
    return this.top !== null && (this.heard > this.top.seq || this.strangeEpoch);
  }

  /** The first run of seqs that is not there, up to what is buffered or heard of. @returns {[number, number] | null} */
  missing() {
    if (this.top === null || this.heard <= this.top.seq) return null;
    let last = this.heard;
    const above = this._above.get(this.top.epoch);
    if (above) {
      last = Infinity;
      for (const seq of above.keys()) if (seq - 1 < last) last = seq - 1;
    }
    return [this.top.seq + 1, last];
  }

  /** A hint named this seq without its text. @param {number} seq */
  named(seq) {
    return this._named.has(seq);
  }

  /** The time from which on the gap wants repair. At once for what was only named. @returns {number | null} */
  repairAt() {
    if (this._gapSince === null || this.top === null) return null;
    return this._gapSince.at + (this._named.has(this.top.seq + 1) ? 0 : this.repairAfterS);
  }

  /** There is room among what is ready. Pages wait for it; what comes live does not, it is paged for later. @param {Item} item */
  fits(item) {
    return this._ready.length === 0 || this._readyBytes + sizeOf(item) <= this.maxBufferBytes;
  }

  // What it is told

  /** Begin after `position`; what was offered before it is a repeat. @param {Position} position @param {number} now */
  start(position, now) {
    this.position = position;
    this._move(position);
    this._settle(now);
  }

  /** Take items from anywhere: a hint, a resumed frame, a page. @param {Item[]} items @param {number} now */
  offerAll(items, now) {
    for (const item of items) this._put(item);
    this._settle(now);
  }

  /** @param {Item} item @param {number} now */
  offer(item, now) {
    this.offerAll([item], now);
  }

  /** Somebody said that `epoch` goes up to `head`. @param {string} epoch @param {number} head @param {number} now */
  hear(epoch, head, now) {
    this._hear(epoch, head);
    this._settle(now);
  }

  /** A hint named a seq whose text has to be fetched. @param {string} epoch @param {number} seq @param {number} now */
  name(epoch, seq, now) {
    this._hear(epoch, seq);
    const above = this.top?.epoch === epoch ? seq - this.top.seq : 0;
    if (above > 0 && above <= this.maxGap) this._named.add(seq);
    this._settle(now);
  }

  /** Declare that nothing up to `to` is coming in this epoch. @param {number} to @param {string} reason @param {number} now */
  lose(to, reason, now) {
    const top = this._started();
    if (to <= top.seq) return;
    this._goTo({ epoch: top.epoch, seq: to }, reason, top.seq + 1, to);
    this._settle(now);
  }

  /**
   * Go on after `position`, in another epoch; the one before is finished and what still comes of it is a repeat.
   * lost, reason: what of the old epoch is not coming, if anything.
   * @param {Position} position @param {number} now @param {{lost?: [number, number] | null, reason?: string | null}} [loss]
   */
  nextEpoch(position, now, { lost = null, reason = null } = {}) {
    const top = this._started();
    if (reason === null) this._move(position);
    else this._goTo(position, reason, lost?.[0] ?? null, lost?.[1] ?? null);
    this.forget(top.epoch);
    this._left = top.epoch !== position.epoch ? top.epoch : null;
    this._settle(now);
  }

  /** That epoch is over, or was never ours to read: nothing of it is waited for. @param {string} epoch */
  forget(epoch) {
    for (const item of this._above.get(epoch)?.values() ?? []) this._aboveBytes -= sizeOf(item);
    this._above.delete(epoch);
    this._heard.delete(epoch);
  }

  /** What can be released now, in order; the position moves past it. @returns {(Release | Discontinuity)[]} */
  take(limit = 1000) {
    const taken = [];
    let passed = 0;
    while (passed < this._ready.length && taken.length < limit) {
      const item = this._ready[passed++];
      if (item instanceof Discontinuity) {
        this.position = item.resumed;
        taken.push(item);
        continue;
      }
      this._readyBytes -= sizeOf(item);
      this.position = { epoch: item.epoch, seq: item.seq };
      if (item instanceof Release) taken.push(item);
    }
    this._ready.splice(0, passed);
    // An epoch that ended without a loss has nothing to take at its border.
    if (this._ready.length === 0) this.position = this.top;
    return taken;
  }

  // Inside

  _started() {
    if (this.top === null) throw new Error('the merge was not started');
    return this.top;
  }

  /** @param {string} epoch @param {number} head */
  _hear(epoch, head) {
    if (epoch !== this._left && head > (this._heard.get(epoch) ?? -1)) this._heard.set(epoch, head);
  }

  /** @param {Item} item */
  _put(item) {
    const top = this.top;
    let distance = 0; // before the start any seq may turn out to be near
    if (top !== null) {
      const here = item.epoch === top.epoch;
      if (item.epoch === this._left || (here && item.seq <= top.seq)) {
        this.repeatsDropped++;
        return;
      }
      if (here && item.seq === top.seq + 1) return this._putNext(item);
      distance = here ? item.seq - top.seq : item.seq;
    }
    this._hear(item.epoch, item.seq);
    if (distance > this.maxGap) {
      // What is so far away is paged for; keeping it would only fill the memory.
      if (top !== null && item.epoch === top.epoch) this._dropBuffer();
      return;
    }
    const waiting = this._above.get(item.epoch) ?? new Map();
    this._above.set(item.epoch, waiting);
    if (waiting.has(item.seq)) this.repeatsDropped++;
    else if (this._isRoom(item)) {
      waiting.set(item.seq, item);
      this._aboveBytes += sizeOf(item);
    } else this._dropBuffer();
  }

  /** @param {Item} item */
  _putNext(item) {
    if (!this._isRoom(item)) this._dropBuffer();
    if (this.fits(item)) {
      this._push(item);
      this._drain();
    } else {
      // The consumer is slow: this one is paged for when there is room again.
      this._hear(item.epoch, item.seq);
      this.putOff++;
    }
  }

  /** @param {Item} item */
  _isRoom(item) {
    return this.bytes + sizeOf(item) <= this.maxBufferBytes;
  }

  /** @param {Item} item */
  _push(item) {
    this._ready.push(item);
    this._readyBytes += sizeOf(item);
    this.top = { epoch: item.epoch, seq: item.seq };
    this._named.delete(item.seq);
    if (item instanceof Release) {
      const repaired = item.via !== 'live';
      if (repaired && !this._inRepair) this.gapsRepaired++;
      this._inRepair = repaired;
    }
  }

  /** Move what has become contiguous from the buffer to the run. */
  _drain() {
    const epoch = this.top?.epoch ?? '';
    const waiting = this._above.get(epoch);
    if (this.top === null || !waiting) return;
    for (let item; (item = waiting.get(this.top.seq + 1)); ) {
      waiting.delete(item.seq);
      this._aboveBytes -= sizeOf(item);
      this._push(item);
    }
    if (waiting.size === 0) this._above.delete(epoch);
  }

  /** @param {Position} position @param {string} reason @param {number | null} lostFrom @param {number | null} lostTo */
  _goTo(position, reason, lostFrom, lostTo) {
    this._ready.push(new Discontinuity(this._started(), position, reason, lostFrom, lostTo));
    this._move(position);
  }

  /** @param {Position} position */
  _move(position) {
    this.top = position;
    this._named.clear();
    const waiting = this._above.get(position.epoch);
    for (const item of [...(waiting?.values() ?? [])]) {
      if (item.seq > position.seq) continue;
      waiting?.delete(item.seq);
      this._aboveBytes -= sizeOf(item);
      this.repeatsDropped++;
    }
    if (waiting?.size === 0) this._above.delete(position.epoch);
    this._drain();
  }

  _dropBuffer() {
    if (this._above.size > 0) this.buffersDropped++;
    this._above.clear();
    this._aboveBytes = 0;
  }

  /** Keep the time since when the run has stood at a hole. @param {number} now */
  _settle(now) {
    if (!this.behind) this._gapSince = null;
    else if (this.top !== null && (this._gapSince === null || !same(this._gapSince.top, this.top))) {
      this._gapSince = { top: this.top, at: now };
    }
  }
}
