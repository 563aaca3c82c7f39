/**
 * Catch-up: what a reader of the tables asks for next, what of it is released, and what is declared lost. Pure: time is passed in.
 *
 * A round begins with heads, read before anything else. `next` is asked with what the merge has, again after each step that it
 * answered, until it answers null. The same rule, with its tables, is migctl/subscriber/core/catchup.py.
 *
 * @typedef {import('./items.js').Item} Item
 * @typedef {import('./items.js').Position} Position
 * @typedef {import('./chain.js').Head} Head
 * @typedef {{top: Position, missing: [number, number] | null, heard: number}} Stand What the merge has.
 * @typedef {{do: 'hear', heads: [string, number][]} | {do: 'last', epoch: string, after: number}
 *   | {do: 'tombstones', epoch: string, after: number} | {do: 'rows', epoch: string, after: number, upto: number | null}
 *   | {do: 'take', items: Item[]} | {do: 'lose', to: number, reason: string}
 *   | {do: 'goOn', position: Position, lost: [number, number] | null, reason: string | null}} Step
 */
import { elsewhere, following, newest } from './chain.js';
import { same } from './items.js';

const PROBES = 3;

/**
 * The items of two pages by seq, as far as both are known, and whether that is the end. An empty page is the end of its table; a short
 * one proves nothing. A row wins over a tombstone.
 * @param {Item[]} rows @param {Item[]} tombstones @returns {[Item[], boolean]}
 */
export function merged(rows, tombstones) {
  const known = Math.min(...[rows, tombstones].flatMap((page) => page.at(-1)?.seq ?? []));
  if (known === Infinity) return [[], true];
  const found = new Map([...tombstones, ...rows].filter((item) => item.seq <= known).map((item) => [item.seq, item]));
  return [[...found.values()].sort((one, other) => one.seq - other.seq), false];
}

/** What one reader keeps from round to round. patienceS: how long a doubt may last before what is in doubt is lost. */
export class Memory {
  constructor(patienceS = 30) {
    this._patienceS = patienceS;
    /** @type {{top: Position, probes: number, since: number} | null} */
    this._hole = null;
    this._gaveUpAt = -Infinity;
    /** @type {{why: string, epoch: string, since: number} | null} */
    this._doubt = null;
  }

  /** The seq after `top` is not there. Whether that is beyond doubt. @param {Position} top @param {number} now @param {boolean} broken */
  probed(top, now, broken) {
    if (!broken) {
      this._hole = null;
      return false;
    }
    if (this._hole === null || !same(this._hole.top, top)) {
      const isNext = now - this._gaveUpAt < this._patienceS;
      this._hole = { top, probes: 0, since: isNext ? -Infinity : now };
    }
    this._hole.probes += 1;
    if (this._hole.probes < PROBES || now - this._hole.since < this._patienceS) return false;
    this._gaveUpAt = now;
    return true;
  }

  /** The same doubt has lasted for too long. @param {string} why @param {string} epoch @param {number} now */
  waitedLong(why, epoch, now) {
    if (this._doubt?.why !== why || this._doubt.epoch !== epoch) this._doubt = { why, epoch, since: now };
    return now - this._doubt.since >= this._patienceS;
  }
}

/** From one reading of heads to the end of what is there. toTheEnd: also what nobody told of, as it is once it is asked. */
export class Round {
  // Of the epoch that it is in
  /** @type {string | null} */
  _epoch = null;
  _left = false; // its tables are read as far as can be
  _ended = false; // the last page was empty
  /** @type {number | null} */
  _last = null; // what was answered
  /** @type {number | null} */
  _goal = null; // where all is here that was known then
  /** @type {Item[]} */
  _tombstones = [];
  _moreTombstones = true;
  /** @type {Item[] | null} */
  _rows = null;
  /** @type {number | null} */
  _upto = null; // the last seq that rows were asked for
  /** @type {number | null} */
  _taken = null; // the last seq of a page that was handed out, and has to be the top now

  /** @param {Memory} memory @param {Head[]} heads */
  constructor(memory, heads, toTheEnd = false) {
    this._memory = memory;
    this._heads = heads;
    this._byEpoch = new Map(heads.map((head) => [head.epoch, head]));
    this._toTheEnd = toTheEnd;
  }

  /** @param {string} epoch */
  _enter(epoch) {
    this._epoch = epoch;
    this._left = this._ended = false;
    this._last = this._goal = this._rows = this._upto = this._taken = null;
    this._tombstones = [];
    this._moreTombstones = true;
  }

  /** The highest seq that either table has after the one that was named. @param {number | null} seq */
  last(seq) {
    this._last = seq ?? 0;
  }

  /** @param {Item[]} items */
  tombstones(items) {
    this._tombstones = items;
    this._moreTombstones = items.length > 0;
  }

  /** @param {Item[]} items */
  rows(items) {
    this._rows = items;
  }

  /** The next step, or null where this round is over. @param {Stand} stand @param {number} now @returns {Step | null} */
  next(stand, now) {
    const head = this._byEpoch.get(stand.top.epoch);
    if (!head) return this._goElsewhere('unknown', newest(this._heads), stand.top.epoch, now);
    const after = following(head.epoch, this._heads);
    if (this._epoch !== head.epoch) {
      this._enter(head.epoch);
      /** @type {[string, number][]} */
      const heads = [[head.epoch, Math.max(head.journal_head, head.table_head)]];
      if (after) heads.push([after.epoch, after.journal_head]);
      return { do: 'hear', heads };
    }
    if (!this._left) {
      const step = this._page(stand, head, now, after !== null);
      if (step !== null) return step;
      this._left = true;
    }
    if (after === null) return this._goElsewhere('unlinked', elsewhere(head.epoch, this._heads), head.epoch, now);
    return this._finish(stand, head, after, now);
  }

  /** Null where nothing is missing, or can't be had now. @param {Stand} stand @param {Head} head @param {number} now @param {boolean} followed @returns {Step | null} */
  _page(stand, head, now, followed) {
    if (this._rows !== null) {
      const rows = this._rows;
      const upto = this._upto;
      this._rows = null;
      // Of what lies above the rows that were asked for nothing is known yet: a row there would win over its tombstone.
      const known = this._tombstones.filter((item) => upto === null || item.seq <= upto);
      const [items, ended] = merged(rows, known);
      this._ended = ended;
      this._taken = items.at(-1)?.seq ?? null;
      return items.length ? { do: 'take', items } : this._hole(stand, head, now);
    }
    if (this._taken !== null) {
      const taken = this._taken;
      this._taken = null;
      if (stand.top.seq < taken) return this._hole(stand, head, now);
    }
    if (!followed) {
      if (this._toTheEnd && this._goal === null) return this._findGoal(stand, head.epoch);
      if (stand.missing === null || (this._goal !== null && stand.top.seq >= this._goal)) return null;
    }
    const { epoch, seq: after } = stand.top;
    this._tombstones = this._tombstones.filter((item) => item.seq > after);
    if (this._tombstones.length === 0 && this._moreTombstones) return { do: 'tombstones', epoch, after };
    this._upto = stand.missing === null || followed ? null : stand.missing[1];
    return { do: 'rows', epoch, after, upto: this._upto };
  }

  /** @param {Stand} stand @param {string} epoch @returns {Step} */
  _findGoal(stand, epoch) {
    if (this._last === null) return { do: 'last', epoch, after: stand.top.seq };
    this._goal = Math.max(this._last, stand.heard);
    return { do: 'hear', heads: [[epoch, this._last]] };
  }

  /** What becomes of the seq after the run, which the tables did not have. @param {Stand} stand @param {Head} head @param {number} now @returns {Step | null} */
  _hole({ top, missing }, head, now) {
    const seq = top.seq + 1;
    const broken = missing !== null && seq >= head.table_tail && seq <= head.table_head;
    const beyondDoubt = this._memory.probed(top, now, broken);
    if (missing === null) return null;
    if (seq < head.table_tail) return { do: 'lose', to: Math.min(missing[1], head.table_tail - 1), reason: 'pruned' };
    return beyondDoubt ? { do: 'lose', to: Math.min(missing[1], head.table_head), reason: 'broken' } : null;
  }

  /**
   * On to the next epoch once this one's table is at its end. Null where the relay still owes something.
   * @param {Stand} stand @param {Head} head @param {Head} after @param {number} now @returns {Step | null}
   */
  _finish({ top, missing, heard }, head, after, now) {
    const final = after.lost_from === null ? head.journal_head : after.lost_from - 1;
    if (!this._ended || (top.seq < final && !this._memory.waitedLong('unfinished', top.epoch, now))) return null;
    // A row above the hole is there, and is delivered.
    if (missing !== null && missing[1] < heard) return { do: 'lose', to: missing[1], reason: 'lost' };
    const lostTo = Math.max(heard, after.lost_to ?? 0);
    const position = { epoch: after.epoch, seq: 0 };
    if (lostTo <= top.seq) return { do: 'goOn', position, lost: null, reason: null };
    return { do: 'goOn', position, lost: [top.seq + 1, lostTo], reason: 'lost' };
  }

  /**
   * Heads know nothing of our epoch, or no chain leads on from it, and yet there is another: after a while, there.
   * @param {string} why @param {Head | null} head @param {string} epoch @param {number} now @returns {Step | null}
   */
  _goElsewhere(why, head, epoch, now) {
    if (head === null || !this._memory.waitedLong(why, epoch, now)) return null;
    return { do: 'goOn', position: { epoch: head.epoch, seq: head.table_tail - 1 }, lost: null, reason: 'epoch' };
  }

  /** The epochs before this one: a late hint of one of them is no reason to read again. @param {string} epoch */
  ancestors(epoch) {
    /** @type {string[]} */
    const found = [];
    for (let head = this._byEpoch.get(epoch); head?.prev_epoch != null; head = this._byEpoch.get(head.prev_epoch)) {
      if (head.prev_epoch === epoch || found.includes(head.prev_epoch)) break;
      found.push(head.prev_epoch);
    }
    return found;
  }
}
