/**
 * Keeping: the position in the page's storage, under a name. Each tab has its own, in sessionStorage, so that a reload goes on where this tab
 * was; one that is new begins where the furthest of them is, in localStorage. A storage that is given is the only one.
 *
 * No mistake of a storage ends a stream: it may be switched off, be full, or hold what somebody else wrote.
 *
 * @typedef {import('./core/items.js').Position} Position
 * @typedef {Pick<Storage, 'getItem' | 'setItem'>} Place
 */
import { now, parsed } from './waiting.js';

const EVERY_S = 0.25;

export class Kept {
  /** @param {string} name @param {Place | null} given @param {import('./subscriber.js').Log} log */
  constructor(name, given, log) {
    this._key = `migctl.position.${name}`;
    this._log = log;
    this._failed = false;
    this._at = -Infinity;
    const shared = given ?? this._tried(() => globalThis.localStorage ?? null);
    const own = given ? null : this._tried(() => globalThis.sessionStorage ?? null);
    /** Where to begin: of this tab, else of any. @type {Position | null} */
    this.position = this._read(own) ?? this._read(shared);
    this._own = own;
    this._shared = shared;
    if (own === null && shared === null) this._fails('there is no storage here');
  }

  /** At most four times a second while more is ready: what is kept may lag, never lead. @param {Position} position @param {boolean} isMore */
  write(position, isMore) {
    if (isMore && now() < this._at + EVERY_S) return;
    this._at = now();
    const text = JSON.stringify([position.epoch, position.seq]);
    for (const place of [this._own, this._shared]) {
      if (place === null) continue;
      // Another tab may be ahead: who comes new has nothing to do with what this one is late with.
      const there = place === this._shared && this._own !== null ? this._read(place) : null;
      if (there?.epoch === position.epoch && there.seq > position.seq) continue;
      this._tried(() => (place.setItem(this._key, text), (this._failed = false), null));
    }
  }

  /** @param {Place | null} place @returns {Position | null} */
  _read(place) {
    const text = this._tried(() => place?.getItem(this._key) ?? null);
    if (text === null) return null;
    const found = parsed(text);
    const [epoch, seq] = Array.isArray(found) ? found : [];
    if (typeof epoch === 'string' && epoch !== '' && Number.isSafeInteger(seq) && seq >= 0) return { epoch, seq };
    this._log('the position that was kept is none', { text: String(text).slice(0, 100) });
    return null;
  }

  /** @template T @param {() => T | null} act @returns {T | null} */
  _tried(act) {
    try {
      return act();
    } catch (error) {
      this._fails(String(error));
      return null;
    }
  }

  /** Told once, until it is kept again. @param {string} reason */
  _fails(reason) {
    if (!this._failed) this._log('the position can not be kept', { reason });
    this._failed = true;
  }
}
