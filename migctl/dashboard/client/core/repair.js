/**
 * When to ask for what is missing, how long to stay away after a failure. Pure: time and randomness are passed in. The table stands in
 * migctl/subscriber/core/repair.py.
 */

/** The longest delay after so many failures in a row. @param {number} failures */
export const boundS = (failures, firstS = 0.1, mostS = 2) => Math.min(mostS, firstS * 2 ** Math.min(failures - 1, 30));

/**
 * A probe asks whoever has the events: for what is known to be missing, or to the end, also for what nobody has told of. That one is
 * owed at first, after `demand`, every now and then, and as long as none has been answered.
 */
export class Repair {
  /** @param {number} now @param {() => number} random uniform in [0, 1); a pause lies between a half and all of its bound */
  constructor(now, random = Math.random) {
    this._random = random;
    this._demanded = false;
    this._owed = true;
    this._failures = 0;
    this._polledAt = now;
    this._pauseUntil = -Infinity;
  }

  get owes() {
    return this._demanded || this._owed;
  }

  /** Ask at once, to the end; also where a probe is on its way, which may have passed what this is about. */
  demand() {
    this._demanded = true;
  }

  /**
   * Probe now, to the end or not; or wait until then.
   * @param {number} now @param {{gapAt: number | null, pollEveryS: number}} by gapAt: of Merge
   * @returns {{toTheEnd: boolean} | {until: number}}
   */
  decide(now, { gapAt, pollEveryS }) {
    if (this._demanded) {
      this._demanded = false;
      this._owed = true;
      this._failures = 0;
      this._pauseUntil = -Infinity;
    }
    const pollAt = this._polledAt + pollEveryS;
    let due = pollAt;
    // Also once a poll is due: where it is refused at once, nothing else would keep the probes apart.
    if (this._owed) due = this._pauseUntil;
    else if (gapAt !== null) due = Math.min(due, Math.max(gapAt, this._pauseUntil));
    if (now < due) return { until: due };
    this._owed ||= now >= pollAt;
    return { toTheEnd: this._owed };
  }

  /** The probe went through. @param {number} now @param {boolean} toTheEnd @param {{cameForward: boolean, behind: boolean}} by */
  answered(now, toTheEnd, { cameForward, behind }) {
    if (toTheEnd) {
      this._owed = false;
      this._polledAt = now;
    }
    this._pause(now, behind, cameForward);
  }

  /** Nobody answered, or the answer was a refusal: what was owed is owed still. @param {number} now @param {boolean} behind */
  failed(now, behind) {
    this._pause(now, behind, false);
  }

  /** @param {number} now @param {boolean} behind @param {boolean} cameForward */
  _pause(now, behind, cameForward) {
    // Still behind: what is missing is not there yet, so the next probe waits.
    if (!(this._owed || behind)) this._failures = 0;
    else this._failures = cameForward ? 1 : this._failures + 1;
    this._pauseUntil = now + (this._failures ? boundS(this._failures, 0.25) * (0.5 + this._random() / 2) : 0);
  }
}
