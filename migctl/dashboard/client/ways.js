/**
 * Ways: the gateway and, where a project and a token are there, Realtime over one merge, with the tables, and the standby socket that tells
 * where to go.
 *
 * @typedef {import('./gateway.js').Assignment} Assignment
 * @typedef {import('./core/assigned.js').Answer} Answer
 */
import { asked, first, heard } from './core/assigned.js';
import { Attachment, goalOf, isPast } from './core/attachment.js';
import { Repair, boundS } from './core/repair.js';
import { Stream } from './gateway.js';
import { Live, Token } from './realtime.js';
import { CatchUp, Tables } from './tables.js';
import { MigctlError, News, now, pause, words } from './waiting.js';

const POLL_HEALTHY_S = 30;
const POLL_UNHEALTHY_S = 2;
const SPREAD_S = 2; // within which time to come back where the server does not say it

/** What a subscriber goes by, over all its ways. */
export class Held {
  /** @param {Answer} answer */
  constructor(answer) {
    this.is = first(answer);
  }
}

export class Ways {
  /**
   * @param {{serve: import('./gateway.js').Serve, flow: import('./flow.js').Flow, options: import('./subscriber.js').Settled,
   *   readiness: import('./subscriber.js').Readiness, held: Held, onChange: () => void}} parts @param {Assignment} assignment
   */
  constructor({ serve, flow, options, readiness, held, onChange }, assignment) {
    this.serve = serve;
    this.flow = flow;
    this.options = options;
    this.readiness = readiness;
    this.held = held;
    this.epoch = assignment.epoch;
    this.project = hasToken(assignment, options) ? assignment.project : null;
    this.alone = this.project === null;
    this.changed = new News();
    this.asking = new News();
    this.repair = new Repair(now());
    /** @type {MigctlError | null} */
    this.trouble = null;
    /** @type {Map<string, AbortController>} */
    this.running = new Map();
    this._onChange = onChange;
    this._mostSpreadS = assignment.fallback.max_spread_s;
    const onAssignment = (/** @type {Answer} */ answer) => {
      held.is = heard(held.is, answer);
      if (this.alone) this.asking.wake(); // where it sends us there may be a way now
      this._assign();
    };
    const claims = () => ({ user: serve.user, assigned: held.is.transport, ...(this.attachment.fallen ? { fallback: '1' } : {}) });
    const how = {
      alone: this.alone, wanted: options.position, heartbeatS: options.heartbeatS, log: options.log, claims, onAssignment,
      changed: () => this._wake(), note: (/** @type {MigctlError} */ error) => void (this.trouble = error),
      redirected: (/** @type {import('./gateway.js').Redirect | null} */ word) => this._redirect(word),
    };
    this.stream = new Stream(serve, flow, how);
    this.standby = new Stream(serve, flow, { ...how, standby: true });
    if (this.project !== null) {
      this.token = new Token(() => this._accessToken(), options.accessToken ? null : assignment.accessToken);
      this.tables = new Tables(this.project, this.token);
      this.catchUp = new CatchUp(this.tables, flow, options.patienceS, options.log);
      this.live = new Live(this.project, this.token, flow, { ...how, changed: () => this._joined() });
    }
    this.attachment = new Attachment(this.alone ? 'websocket' : held.is.transport, {
      canFallBack: options.fallBack && !this.alone,
      toRealtime: options.toRealtime ?? assignment.fallback.to_realtime,
      goneS: options.goneS,
      holdS: options.holdS ?? assignment.fallback.hold_seconds,
    });
    if (assignment.away) this.attachment.redirect('websocket', now()); // until the gateway says otherwise
  }

  /** The transports that bring events now. @returns {Set<import('./core/items.js').TransportName>} */
  get attached() {
    const found = new Set();
    if (this.stream.liveness.up) found.add('websocket');
    if (this.live?.liveness.up) found.add('realtime');
    return found;
  }

  get owes() {
    return !this.alone && this.repair.owes;
  }

  get reconnects() {
    return this.stream.reconnects + (this.live?.reconnects ?? 0);
  }

  /** Receive until `signal` ends it, or until an assignment came that wants other ways than these. @param {AbortSignal} signal @returns {Promise<Assignment>} */
  async run(signal) {
    const inner = new AbortController();
    const end = () => inner.abort();
    signal.addEventListener('abort', end);
    const jobs = [this._carry(inner.signal), this._read(inner.signal), this._keepFresh(inner.signal)];
    try {
      return await new Promise((resolve, reject) => {
        for (const job of jobs) job.catch(reject);
        this._ask(inner.signal).then(resolve, reject);
      });
    } finally {
      end();
      signal.removeEventListener('abort', end);
      await Promise.allSettled(jobs);
    }
  }

  _wake() {
    this.changed.wake();
    this.flow.changed.wake();
    this._onChange();
  }

  _joined() {
    if (this.live?.liveness.up) this.repair.demand();
    this._wake();
  }

  // What the server says

  /** Asks for the assignment again: soon after each word of the gateway's, and now and then. @param {AbortSignal} signal @returns {Promise<Assignment>} */
  async _ask(signal) {
    const { askEveryS, askSoonS } = this.options;
    for (;;) {
      const until = now() + askEveryS * (0.5 + Math.random());
      await this.asking.wait(until - now(), signal);
      // After a restart of the server everybody gets its word at once.
      if (now() < until) await pause(askSoonS * Math.random(), signal);
      signal.throwIfAborted();
      try {
        const found = await this.serve.assignment(signal);
        if (this._wantsOthers(found)) return found;
      } catch (error) {
        if (!(error instanceof MigctlError)) throw error;
      }
    }
  }

  /** @param {Assignment} found */
  _wantsOthers(found) {
    const { options, attachment } = this;
    this._mostSpreadS = found.fallback.max_spread_s;
    attachment.holdS = options.holdS ?? found.fallback.hold_seconds;
    attachment.toRealtime = options.toRealtime ?? found.fallback.to_realtime;
    const pushed = this.stream.assigns || this.standby.assigns;
    this.held.is = asked(this.held.is, found.answer, { pushed, away: found.away });
    this._assign();
    if (this.alone) return found.project !== null && hasToken(found, options);
    // A server that knows of no project now is no reason to leave one.
    return found.project !== null && JSON.stringify(found.project) !== JSON.stringify(this.project);
  }

  _assign() {
    if (!this.alone) this.attachment.assign(this.held.is.transport);
    this._wake();
  }

  /** @param {import('./gateway.js').Redirect | null} word */
  _redirect(word) {
    const most = word?.spread_s === undefined ? SPREAD_S : Math.min(word.spread_s, this._mostSpreadS);
    if (word !== null) this.options.log('redirected', { to: word.to, reason: word.reason });
    this.attachment.redirect(word?.to ?? 'realtime', now(), Math.random() * (this.options.spreadS ?? most));
    this.asking.wake(); // a word of the gateway's comes after a reconnect, or where something has changed
    this._wake();
  }

  async _accessToken() {
    // Who has tokens of its own needs no server for Realtime.
    if (this.options.accessToken) return given(this.options.accessToken);
    const found = await this.serve.assignment();
    if (!found.accessToken) throw new MigctlError(`${this.serve.url} gives no token for Realtime any more`, 'see its /api/status');
    return found.accessToken;
  }

  /** Renew it also while nobody needs it: once somebody does, who gives it may be gone. @param {AbortSignal} signal */
  async _keepFresh(signal) {
    while (!signal.aborted && this.token) {
      await pause(Math.max(this.token.renewInS, 0.1), signal);
      if (signal.aborted || this.token.renewInS > 0) continue;
      try {
        await this.token.get({ signal });
      } catch (error) {
        this.options.log('token not renewed', { reason: words(error) });
        await pause(5, signal);
      }
    }
  }

  // The transports

  /** Run those that Attachment wants. @param {AbortSignal} signal */
  async _carry(signal) {
    /** @type {unknown} */
    let failure = null;
    /** @type {Promise<void>[]} */
    const jobs = [];
    let before = '';
    while (!signal.aborted && failure === null) {
      const gateway = this.running.has('stream') ? this.stream.observed : this.standby.observed;
      const realtime = this.live?.observed ?? { up: false, since: 0, heardAt: null, silenceS: 1 };
      const reach = { top: this.flow.merge.top, known: this.flow.merge.heard, owes: this.owes };
      const { transports, until } = this.attachment.decide(now(), { websocket: gateway, realtime }, reach);
      if (`${transports}` !== before) this.options.log('transports', { assigned: this.attachment.assigned, now: transports });
      before = `${transports}`;
      // The gateway tells of a fallback over any socket; who has none for events keeps one for that.
      const wanted = { stream: transports.includes('websocket'), standby: !transports.includes('websocket'), live: transports.includes('realtime') };
      for (const [name, is] of /** @type {['stream' | 'standby' | 'live', boolean][]} */ (Object.entries(wanted))) {
        const link = this[name];
        if (is && link && !this.running.has(name)) {
          const stop = new AbortController();
          this.running.set(name, stop);
          const job = link.run(stop.signal).catch((error) => void (failure = error));
          jobs.push(job.then(() => (this.running.delete(name), this._wake())));
        } else if (!is) this.running.get(name)?.abort();
      }
      await this.changed.wait(until - now(), signal);
    }
    for (const stop of this.running.values()) stop.abort();
    await Promise.all(jobs);
    if (failure !== null) throw failure;
  }

  // What is missing

  /** Find where to begin, say that we are ready, and then see that nothing stays missing. @param {AbortSignal} signal */
  async _read(signal) {
    const { merge } = this.flow;
    if (merge.top === null && this.options.position) this.flow.start(this.options.position);
    for (let failures = 0; merge.top === null || this.attached.size === 0; ) {
      if (merge.top === null && this.catchUp && this.attached.has('realtime')) {
        try {
          // Where nothing was ever written, it begins before the first.
          if (!(await this.catchUp.start(signal)) && merge.top === null) this.flow.start({ epoch: this.epoch, seq: 0 });
        } catch (error) {
          if (!(error instanceof MigctlError)) throw error;
          this.trouble = error;
          if (this.readiness.waitedEnough) throw error;
          await pause(Math.random() * boundS(++failures, 0.1, 1), signal);
        }
        continue;
      }
      await this.changed.wait(this.readiness.leftS, signal);
      if (signal.aborted) return;
      if (this.readiness.waitedEnough && this.attached.size === 0) {
        throw this.trouble ?? new MigctlError(`${this.serve.url}: no transport could be attached in time`, 'see what `migctl status` says of the transports');
      }
    }
    this.readiness.reach(merge.position ?? merge.top); // where it began: what came since is still to be handed out
    await this._probeAndAgain(signal);
  }

  get _gatewayLives() {
    return (this.running.has('stream') ? this.stream : this.standby).liveness.up;
  }

  get _pollEveryS() {
    const { attached, attachment } = this;
    const returns = attachment.assigned === 'websocket' && !attachment.canFallBack;
    if (attached.has('websocket') || (attached.size === 0 && returns)) return Infinity;
    return attached.size > 0 ? POLL_HEALTHY_S : POLL_UNHEALTHY_S;
  }

  /** Asks for what is missing whenever Repair says so. @param {AbortSignal} signal */
  async _probeAndAgain(signal) {
    const { merge } = this.flow;
    while (!signal.aborted) {
      const due = this.repair.decide(now(), { gapAt: merge.repairAt(), pollEveryS: this._pollEveryS });
      if ('until' in due) {
        await this.flow.changed.wait(due.until - now(), signal);
        continue;
      }
      const before = merge.top;
      try {
        await this._probe(due.toTheEnd, signal);
        this.repair.answered(now(), due.toTheEnd, { cameForward: merge.top !== before, behind: merge.behind });
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof MigctlError)) throw error;
        this.options.log('not asked for what is missing', { reason: error.what });
        this.repair.failed(now(), merge.behind);
      }
      this.changed.wake();
    }
  }

  /** The gateway first. What is heard of while it is asked is not what it was asked for. @param {boolean} toTheEnd @param {AbortSignal} signal */
  async _probe(toTheEnd, signal) {
    const { merge } = this.flow;
    const goal = goalOf({ top: merge.top, known: merge.heard, owes: false });
    const answered = this._gatewayLives && (await this._fromTheGateway(signal));
    if (answered && (goal === null || (isPast(merge.top, goal) && !merge.strangeEpoch))) return;
    await this.catchUp?.round(toTheEnd, signal);
  }

  /** Take what the journal has after our position when it is first asked. False where it could not be. @param {AbortSignal} signal */
  async _fromTheGateway(signal) {
    const { merge } = this.flow;
    let goal = null;
    while (merge.top !== null && !(goal !== null && isPast(merge.top, goal))) {
      let page;
      try {
        page = await this.serve.events(merge.top, signal);
      } catch (error) {
        if (error instanceof MigctlError) return false;
        throw error;
      }
      if (page === null) {
        // With nobody beside it, what the journal has no longer is told by the hello of a new socket.
        if (this.alone) this.stream.giveUp(new MigctlError('the journal has it no longer', 'nothing: the gateway says from where on'));
        return false;
      }
      if (page.items.length === 0) return true;
      goal ??= page.head;
      const before = merge.top;
      for (const item of page.items) await this.flow.put(item, signal);
      if (merge.top === before) return false; // what does not bring us on would be asked for again and again
    }
    return true;
  }
}

/** A token of the application's. @param {() => Promise<string>} accessToken */
async function given(accessToken) {
  let token;
  try {
    token = await accessToken();
  } catch (error) {
    throw new MigctlError(`accessToken failed: ${words(error)}`, 'see the function that was given as accessToken');
  }
  if (typeof token !== 'string' || token === '') throw new MigctlError('accessToken gave no text', 'see the function that was given as accessToken');
  return token;
}

/** Without one there is no Realtime. @param {Assignment} assignment @param {import('./subscriber.js').Settled} options */
const hasToken = (assignment, options) => Boolean(assignment.accessToken || options.accessToken);
