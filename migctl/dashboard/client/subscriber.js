/**
 * Subscriber: the stream as a page wants it, over the transport it was assigned, with the other one to fall back to.
 *
 * @typedef {import('./core/items.js').Position} Position
 * @typedef {(what: string, more: object) => void} Log
 *
 * @typedef {object} Options
 * @property {string} [user] whom the assignment is for; none is somebody new, who stays the same for the life of this object
 * @property {string} [token] for a server that asks for one, with purpose subscribe
 * @property {() => Promise<string>} [accessToken] gives tokens of role `authenticated`, for a server that mints none
 * @property {Position | null} [position] go on after it; none starts at the head
 * @property {string} [keep] keep the position in the page's storage under this name, and go on there; `position` wins
 * @property {Pick<Storage, 'getItem' | 'setItem'>} [storage] where; of each tab its own, and one of all of them for those that are new
 * @property {number} [waitS] how long there may be no server, and no transport, before the first readiness (10)
 * @property {boolean} [fallBack] false keeps to the assigned transport
 * @property {boolean} [toRealtime] false keeps to the WebSocket where that is assigned; none is what the server says
 * @property {number} [goneS] how long a lost connection may take to come back (1.5)
 * @property {number} [holdS] how long the assigned transport has to be well before the other is left; none is what the server says
 * @property {number} [spreadS] back to it within this time, at random; none is what the server says
 * @property {number} [heartbeatS] how often either side is expected to speak; none is what the server says
 * @property {number} [patienceS] how long an epoch that was left may take to be written to its end (30)
 * @property {number} [askEveryS] the assignment is asked for about so often, beside what the gateway says of it (30)
 * @property {number} [askSoonS] and within this time, at random, after the gateway has come back or said where to go (2)
 * @property {(subscriber: Subscriber) => void} [onChange] a transport was attached or lost, or the assignment is another
 * @property {Log} [log] what an operator may want to read; nothing is said without it
 *
 * @typedef {Omit<Required<Options>, 'user' | 'token' | 'accessToken' | 'toRealtime' | 'holdS' | 'spreadS' | 'heartbeatS' | 'storage' | 'keep'>
 *   & {accessToken: (() => Promise<string>) | null, toRealtime: boolean | null, holdS: number | null, spreadS: number | null,
 *   heartbeatS: number | null, position: Position | null}} Settled
 */
import { boundS } from './core/repair.js';
import { Flow } from './flow.js';
import { Serve } from './gateway.js';
import { Kept } from './keeping.js';
import { MigctlError, called, now, pause } from './waiting.js';
import { Held, Ways } from './ways.js';

// Who finds a deadline so late stood still meanwhile: nobody had that time.
const LATE_S = 15;
const MOST_AT_ONCE = 1000;

/** The moment from which on nothing can be missed, once: reached at a place, or failed. */
export class Readiness {
  /** @param {number} waitS */
  constructor(waitS) {
    this.over = false;
    this._waitS = waitS;
    this._deadline = now() + waitS;
    this._excused = false;
    /** @type {Promise<Position>} */
    this.promise = new Promise((resolve, reject) => {
      this._resolve = resolve;
      this._reject = reject;
    });
    this.promise.catch(() => {}); // who does not wait for it hears of it in the loop
  }

  /** How much longer it may take. Once ready, without end: later outages are waited for. */
  get leftS() {
    return this.over ? Infinity : this._deadline - now();
  }

  /** What stands in the way is the end of it. */
  get waitedEnough() {
    if (this.leftS < -LATE_S && !this._excused) {
      this._excused = true;
      this._deadline = now() + this._waitS;
    }
    return this.leftS <= 0;
  }

  /** @param {Position} position */
  reach(position) {
    this.over = true;
    this._resolve?.(position);
  }

  /** @param {unknown} error */
  fail(error) {
    this.over = true;
    this._reject?.(error);
  }
}

/** Iterate for releases (and discontinuities) in seq order, each id once an epoch. Leaving the loop closes it. */
export class Subscriber {
  /** @param {string | URL} url where `migctl serve` listens @param {Options} [options] */
  constructor(url, options = {}) {
    const { user, token, keep, storage, onChange, log: heard, ...rest } = options;
    /** @type {Log} */
    const log = (what, more) => called(() => heard?.(what, more));
    this._kept = keep == null ? null : new Kept(keep, storage ?? null, log);
    /** @type {Settled} */
    this._options = {
      waitS: 10, fallBack: true, goneS: 1.5, patienceS: 30, askEveryS: 30, askSoonS: 2, accessToken: null, toRealtime: null, holdS: null,
      spreadS: null, heartbeatS: null, ...rest, onChange: (of) => called(() => onChange?.(of)), log,
      position: rest.position ?? this._kept?.position ?? null,
    };
    this._serve = new Serve(String(url), user ?? `anonymous-${crypto.randomUUID()}`, token ?? null);
    this._flow = new Flow();
    this._closing = new AbortController();
    /** @type {Readiness | null} */
    this._readiness = null;
    /** @type {Ways | null} */
    this._ways = null;
    /** @type {Held | null} */
    this._held = null;
    /** @type {Promise<void> | null} */
    this._running = null;
    this._reconnects = 0;
    this._isIterated = this._handedOut = false;
  }

  /** Wait until nothing from here on can be missed; where that is, exclusive. Begins to receive. @returns {Promise<Position>} */
  ready() {
    return this._begin().promise;
  }

  /** The last seq that was handed out: give it to the next subscriber, and it goes on there. */
  get position() {
    return this._flow.merge.position;
  }

  /** The transports that are connected now. */
  get attached() {
    return this._ways?.attached ?? new Set();
  }

  /** The transport that is assigned; null before it is known. */
  get assigned() {
    return this._held?.is.transport ?? null;
  }

  /** Connected, all asked for since, and nothing known to be missing. */
  get idle() {
    return this.attached.size > 0 && !(this._flow.merge.behind || this._ways?.owes);
  }

  get reconnects() {
    return this._reconnects + (this._ways?.reconnects ?? 0);
  }

  /** Counters, for those who report them. */
  get merge() {
    return this._flow.merge;
  }

  /** One by one, so that the position is never ahead of what was handed out. */
  async *[Symbol.asyncIterator]() {
    for await (const batch of this._taken(1)) yield batch[0];
  }

  /** In lists, as many as there are at the moment. */
  batches() {
    return this._taken(MOST_AT_ONCE);
  }

  /** Ends the loop, once what is ready was taken. */
  async close() {
    this._closing.abort();
    this._readiness?.fail(closed());
    this._flow.end();
    await this._running;
  }

  /** @param {number} limit */
  async *_taken(limit) {
    if (this._isIterated) throw new MigctlError('this subscriber is iterated twice', 'iterate once and hand on what comes, or make a second Subscriber', { retry: false });
    this._isIterated = true;
    this._begin();
    try {
      for (;;) {
        const batch = await this._flow.take(limit);
        if (batch.length === 0) return;
        this._handedOut = true;
        yield batch;
        // It was dealt with: the next one is asked for.
        this._keepPosition(this.position);
      }
    } finally {
      await this.close();
    }
  }

  // Running

  _begin() {
    if (this._readiness === null) {
      const readiness = (this._readiness = new Readiness(this._options.waitS));
      if (this._closing.signal.aborted) readiness.fail(closed());
      this._running = this._run(readiness).catch((error) => {
        if (this._closing.signal.aborted) return;
        readiness.fail(error);
        this._flow.fail(error);
      });
    }
    return this._readiness;
  }

  /** @param {Readiness} readiness */
  async _run(readiness) {
    const { signal } = this._closing;
    let assignment = await this._firstAssignment(readiness, signal);
    const held = (this._held = new Held(assignment.answer));
    // Where it began, and not how far it is: of what came since nothing was handed out yet.
    readiness.promise.then(() => this._handedOut || this._keepPosition(this.position), () => {});
    while (!signal.aborted) {
      const parts = { serve: this._serve, flow: this._flow, options: this._options, readiness, held, onChange: () => this._options.onChange(this) };
      const ways = (this._ways = new Ways(parts, assignment));
      assignment = await ways.run(signal);
      this._reconnects += ways.reconnects;
    }
  }

  /** @param {Readiness} readiness @param {AbortSignal} signal */
  async _firstAssignment(readiness, signal) {
    for (let failures = 1; ; failures++) {
      try {
        return await this._serve.assignment(signal);
      } catch (error) {
        if (!(error instanceof MigctlError) || !error.retry || readiness.waitedEnough) throw error;
      }
      await pause(Math.random() * boundS(failures, 0.1, 1), signal);
      signal.throwIfAborted();
    }
  }

  /** @param {Position | null} position */
  _keepPosition(position) {
    if (position !== null) this._kept?.write(position, this._flow.merge.bytes > 0);
  }
}

const closed = () => new MigctlError('the subscriber was closed before it was ready', 'wait for it before');
