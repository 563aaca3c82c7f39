/**
 * Attachment: the transports that a subscriber is attached to, by assignment, the server's word and what it hears. Pure.
 *
 * One transport is assigned; the other takes over when the assigned one has failed, and is left when it has proven itself again. A
 * new assignment is a move, not a failure: both run until the new transport has caught up. The same rule, with its table, is
 * migctl/subscriber/core/attachment.py. Times are seconds.
 *
 * @typedef {import('./items.js').Position} Position
 * @typedef {import('./items.js').TransportName} TransportName
 *
 * @typedef {{up: boolean, since: number, heardAt: number | null, silenceS: number, carries?: boolean}} Observed
 *   One transport. since: when it was connected, or lost. heardAt: when anything came over it the last time. carries: false for a
 *   standby socket, which brings no event.
 * @typedef {{top: Position | null, known: number, owes: boolean}} Reach
 *   How far the run is. known: the highest seq of that epoch heard of. owes: what nobody told of was not asked for yet.
 * @typedef {{transports: TransportName[], until: number}} Wanted
 *   transports: those to be attached to, never none. until: the time from which on the answer may be another.
 */

const PROOF_EVERY_S = 0.25;
const MOVE_EVERY_S = 0.05;

/** @param {TransportName} name @returns {TransportName} */
export const otherThan = (name) => (name === 'websocket' ? 'realtime' : 'websocket');

/** Where it is once all is here that is known now. @param {Reach} reach @returns {Position | null} */
export const goalOf = ({ top, known }) => top && { epoch: top.epoch, seq: Math.max(known, top.seq) };

/** All of that is here; of an epoch that was left nothing is missing. @param {Position | null} top @param {Position} goal */
export const isPast = (top, goal) => top !== null && (top.epoch !== goal.epoch || top.seq >= goal.seq);

/**
 * canFallBack: false where the other transport is not there for this subscriber. toRealtime: false where one that is assigned the
 * WebSocket keeps to it. goneS: how long a lost connection may take to come back. holdS: how long the assigned transport has to
 * stay well before the other is left.
 */
export class Attachment {
  /** @param {TransportName} assigned */
  constructor(assigned, { canFallBack = true, toRealtime = true, goneS = 1.5, holdS = 10 } = {}) {
    this.assigned = assigned;
    this.toRealtime = toRealtime;
    this.holdS = holdS;
    this.moving = false;
    this.fallen = false;
    this.falls = 0;
    this._canFallBack = canFallBack;
    this._goneS = goneS;
    this._calledAway = false; // from Realtime, by the server's last word
    this._rejoinAt = -Infinity;
    this._failedAt = -Infinity;
    /** @type {number | null} */
    this._wellSince = null;
    /** @type {Position | null} */
    this._goal = null;
  }

  /** There is another transport for a subscriber with this assignment. */
  get canFallBack() {
    return this._canFallBack && (this.toRealtime || this.assigned === 'realtime');
  }

  get _sentAway() {
    return this._calledAway && this.assigned === 'realtime';
  }

  /** The assignment is this one now. The transport so far is left once the new one has caught up. @param {TransportName} assigned */
  assign(assigned) {
    if (assigned === this.assigned) return;
    this.assigned = assigned;
    this._rejoinAt = -Infinity;
    this._wellSince = this._goal = null;
    this.moving = true;
    this.fallen = false;
  }

  /**
   * The server sends those who are assigned Realtime there. jitterS: how long to wait before going back to it.
   * @param {TransportName} to @param {number} now
   */
  redirect(to, now, jitterS = 0) {
    const away = to === 'websocket';
    if (this._sentAway && !away) this._rejoinAt = now + jitterS;
    this._calledAway = away;
  }

  /**
   * What to be attached to, now that the transports look like this, and the run is so far.
   * @param {number} now @param {Record<TransportName, Observed>} observed @param {Reach} reach @returns {Wanted}
   */
  decide(now, observed, reach) {
    const other = otherThan(this.assigned);
    // Who sent for us is gone too, and can't say when it is over.
    if (this._sentAway && !observed[other].up && now - observed[other].since >= this._goneS) this._calledAway = false;
    const mine = observed[this.assigned];
    if (this.moving && !(this._sentAway && this.canFallBack)) {
      const both = this._move(now, mine, reach);
      if (both !== null) return both;
    }
    if (!this.canFallBack) return { transports: [this.assigned], until: Infinity };
    if (this._sentAway || now >= this._failsAt(mine)) this._fall(now);
    else if (this.fallen) this._prove(mine, now);
    if (!this.fallen) return { transports: [this.assigned], until: this._failsAt(mine) };
    if (this._staysAway(now)) return { transports: [other], until: this._nextChange(now, observed[other]) };
    return { transports: [this.assigned, other], until: now + PROOF_EVERY_S };
  }

  /** What the move wants; null once it is over. @param {number} now @param {Observed} mine @param {Reach} reach @returns {Wanted | null} */
  _move(now, mine, reach) {
    const other = otherThan(this.assigned);
    if (this._sentAway) return { transports: [other], until: now + PROOF_EVERY_S };
    const proven = (mine.carries ?? true) && mine.up && mine.heardAt !== null && mine.heardAt >= mine.since;
    if (!proven) this._goal = null;
    // A socket says in its hello how far the journal is; of Realtime that has to be asked.
    else if (this._goal === null && !(reach.owes && this.assigned === 'realtime')) this._goal = goalOf(reach);
    if (this._goal !== null && isPast(reach.top, this._goal)) {
      this.moving = false;
      this._goal = null;
      return null;
    }
    const alone = this._calledAway && now < this._failsAt(mine);
    return { transports: alone ? [this.assigned] : [this.assigned, other], until: now + MOVE_EVERY_S };
  }

  /** When the assigned transport counts as failed, if nothing changes. @param {Observed} mine */
  _failsAt(mine) {
    return mine.up ? Math.max(mine.since, mine.heardAt ?? mine.since) + mine.silenceS : mine.since + this._goneS;
  }

  /** @param {number} now */
  _fall(now) {
    if (!this.fallen) this.falls++;
    this.fallen = true;
    this.moving = false;
    this._failedAt = now;
    this._wellSince = null;
  }

  /** Connected is no proof; something that came over this connection after the failure is. @param {Observed} mine @param {number} now */
  _prove(mine, now) {
    const heard = mine.heardAt !== null && mine.heardAt >= Math.max(mine.since, this._failedAt);
    if (!(mine.up && heard)) this._wellSince = null;
    else if (this._wellSince === null) this._wellSince = now;
    else if (now - this._wellSince >= this.holdS) this.fallen = false;
  }

  /** Only from Realtime: a socket is also what brings the server's word. @param {number} now */
  _staysAway(now) {
    return this.assigned === 'realtime' && (this._sentAway || now < this._rejoinAt);
  }

  /** @param {number} now @param {Observed} other */
  _nextChange(now, other) {
    const rejoin = now < this._rejoinAt ? this._rejoinAt : Infinity;
    return this._sentAway && !other.up ? Math.min(rejoin, other.since + this._goneS) : rejoin;
  }
}
