/**
 * Whether a link is to be kept, asked, left or joined anew, by what was heard over it. Pure: time is passed in. The tables stand in
 * migctl/subscriber/core/liveness.py and migctl/resilience/request_timeout.py.
 *
 * @typedef {'keep' | 'ask' | 'leave' | 'rejoin'} Verdict
 */

const QUIET_S = 0.75;
const QUIET_TIMES = 1.25;
const FORGET_S = 10;
const LATE_S = 0.3;

/** How long an answer is awaited, from how long answers took: as TCP's retransmission timer. All in seconds. */
export class RequestTimeout {
  /** @param {number} initialS @param {number} minS @param {number} maxS */
  constructor(initialS, minS, maxS) {
    this.seconds = initialS;
    this._minS = minS;
    this._maxS = maxS;
    /** @type {number | null} */
    this._meanS = null;
    this._deviationS = 0;
  }

  /** @param {number} tookS */
  answered(tookS) {
    if (this._meanS === null) [this._meanS, this._deviationS] = [tookS, tookS / 2];
    else {
      this._deviationS += (Math.abs(this._meanS - tookS) - this._deviationS) / 4;
      this._meanS += (tookS - this._meanS) / 8;
    }
    this.seconds = this._bounded(this._meanS + 4 * this._deviationS);
  }

  timedOut() {
    this.seconds = this._bounded(2 * this.seconds);
  }

  /** @param {number} seconds */
  _bounded(seconds) {
    return Math.min(this._maxS, Math.max(this._minS, seconds));
  }
}

/** One link, over all its lives. silenceS: how long nothing may be heard; the other end says how often it speaks. */
export class Liveness {
  /** @param {number} now @param {number} silenceS */
  constructor(now, silenceS) {
    this.silenceS = silenceS;
    this.up = false;
    this.since = now;
    /** @type {number | null} */
    this.heardAt = null;
    this._asks = false;
    this._usualS = 0;
    /** @type {number | null} */
    this._askedAt = null;
    this._answeredAt = this._excusedAt = -Infinity;
    this._answers = 0;
    this._patience = new RequestTimeout(1.5, 0.75, 10);
  }

  /** When `decide` may say something else, if nothing comes; only while it is up. */
  get nextAt() {
    return this._asks && this._askedAt === null ? Math.min(this._quietAt(), this._silentAt()) : this._leaveAt();
  }

  /** Of the verdict to leave. */
  get reason() {
    if (this._askedAt === null || this._silentAt() <= this._muteAt(this._askedAt)) return `no heartbeat for ${this.silenceS} s`;
    return `nothing came any more, and no answer for ${Number(this._patience.seconds.toPrecision(3))} s`;
  }

  /** It is wanted from now on. @param {number} now */
  start(now) {
    if (!this.up) this.since = now;
  }

  /** It is joined, and able to bring something. tookS: how long the answer to the joining took. @param {number} now @param {boolean} asks @param {number | null} tookS */
  join(now, asks = false, tookS = null) {
    this.up = true;
    this.since = now;
    this._asks = asks;
    this._askedAt = null;
    this._answeredAt = this._excusedAt = -Infinity;
    this._answers = 0;
    if (tookS !== null) this._patience.answered(tookS);
  }

  /** Something came over it. @param {number} now */
  hear(now) {
    if (!this.up) return;
    const gapS = now - this._lastHeard();
    this._usualS = Math.max(gapS, this._usualS * (1 - gapS / FORGET_S));
    this.heardAt = now;
    this._askedAt = null;
    this._answers = 0;
  }

  /** It was asked. @param {number} now */
  ask(now) {
    this._askedAt = now;
  }

  /** The answer to what was asked has come. @param {number} now */
  answer(now) {
    if (!this.up || this._askedAt === null) return;
    this._patience.answered(now - this._askedAt);
    this._askedAt = null;
    this._answeredAt = now;
    this._answers++;
  }

  /** That nothing was heard until now is not its fault. @param {number} now */
  excuse(now) {
    this._excusedAt = now;
  }

  /** It is over, whoever ended it; one that went silent since it was last heard. @param {number} now */
  lose(now) {
    if (!this.up) return;
    this.since = now >= this._leaveAt() ? this._lastHeard() : now;
    if (this._askedAt !== null && now >= this._muteAt(this._askedAt)) this._patience.timedOut();
    this.up = false;
    this._askedAt = null;
  }

  /** @param {number} now @returns {Verdict} */
  decide(now) {
    if (!this.up) return 'rejoin';
    const leaveAt = this._leaveAt();
    if (now >= leaveAt) {
      if (now < leaveAt + LATE_S || this._excusedAt > this._lastHeard()) return 'leave';
      this.excuse(now);
    } else if (this._asks && this._askedAt === null && now >= this._quietAt()) return 'ask';
    return 'keep';
  }

  _lastHeard() {
    return Math.max(this.since, this.heardAt ?? this.since);
  }

  _silentAt() {
    return Math.max(this._lastHeard(), this._excusedAt) + this.silenceS;
  }

  _quietAt() {
    const quietS = Math.max(QUIET_S, QUIET_TIMES * this._usualS) * 2 ** Math.min(this._answers, 30);
    return Math.max(this._lastHeard(), this._answeredAt, this._excusedAt) + quietS;
  }

  /** @param {number} askedAt */
  _muteAt(askedAt) {
    return Math.max(askedAt, this._excusedAt) + this._patience.seconds;
  }

  _leaveAt() {
    const silentAt = this._silentAt();
    return this._askedAt === null ? silentAt : Math.min(silentAt, this._muteAt(this._askedAt));
  }
}
