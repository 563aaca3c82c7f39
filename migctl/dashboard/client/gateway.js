/**
 * The side of `migctl serve`: its assignment, whether it is ready, events that were missed, and the v2 socket.
 *
 * @typedef {import('./core/items.js').Position} Position
 * @typedef {import('./core/items.js').TransportName} TransportName
 * @typedef {import('./core/assigned.js').Answer} Answer
 * @typedef {{url: string, anonKey: string, schema: string, channel: string, live: 'broadcast' | 'postgres_changes'}} Project
 * @typedef {{answer: Answer, away: boolean, epoch: string, project: Project | null, accessToken: string | null,
 *   fallback: {hold_seconds: number, to_realtime: boolean, max_spread_s: number}}} Assignment
 *   answer: what the flag says, and lasts. away: that is Realtime, and a breaker of it is open.
 * @typedef {{to: TransportName, reason?: string, spread_s?: number}} Redirect
 */
import { Release } from './core/items.js';
import { begin } from './core/resuming.js';
import { Link } from './link.js';
import { MigctlError, get, now, parsed } from './waiting.js';

const TIMEOUT_S = 3;
const PAGE_EVENTS = 1000;
export const MISSED_HEARTBEATS = 2.5;
const AGAIN = 'nothing: it is tried again';
const TOKEN = 'give a token that is good for subscribing';

/** What a subscriber asks of `migctl serve` over HTTP. */
export class Serve {
  /** @param {string} url @param {string} user @param {string | null} token */
  constructor(url, user, token) {
    this.url = url.replace(/\/+$/, '');
    if (!/^https?:\/\//.test(this.url) || !URL.canParse(this.url)) throw new MigctlError(`${url} is no address`, 'write http://HOST:PORT or https://HOST', { retry: false });
    this.user = user;
    this.token = token;
  }

  /** @param {string} path @param {AbortSignal} [signal] */
  async _get(path, signal) {
    /** @type {Record<string, string>} */
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    return get(this.url + path, { headers, seconds: TIMEOUT_S, signal });
  }

  /** @param {AbortSignal} [signal] @returns {Promise<Assignment>} */
  async assignment(signal) {
    const { status, text } = await this._get(`/api/transport?user=${encodeURIComponent(this.user)}`, signal);
    const said = `${this.url}: HTTP ${status} ${text.slice(0, 200)}`;
    if (status === 401 || status === 403) throw new MigctlError(said, TOKEN, { retry: false });
    if (status >= 500 || status === 408 || status === 429) throw new MigctlError(said, 'see what `migctl serve` says');
    const found = status === 200 ? parsed(text) : null;
    if (!isAssignment(found)) {
      throw new MigctlError(`${said}: it assigns no transport`, 'give the address of `migctl serve`', { retry: false });
    }
    const lasting = found.assigned ?? found.transport;
    const channel = found.channel ?? 'public.monitoring_events';
    return {
      answer: { transport: lasting, version: found.version ?? 0, reason: found.reason ?? '' },
      away: found.transport !== lasting,
      epoch: found.epoch,
      project:
        found.supabase_url && found.anon_key
          ? { url: found.supabase_url.replace(/\/+$/, ''), anonKey: found.anon_key, channel, schema: channel.split('.')[0], live: found.live ?? 'broadcast' }
          : null,
      accessToken: found.access_token ?? null,
      fallback: { hold_seconds: 10, to_realtime: true, max_spread_s: 10, ...found.fallback },
    };
  }

  /** Raises MigctlError where the server does not serve. @param {AbortSignal} signal */
  async checkReady(signal) {
    const { status, text } = await this._get('/readyz', signal);
    if (status !== 200) throw new MigctlError(`${this.url}: HTTP ${status} ${text.slice(0, 200)}`, AGAIN);
  }

  /**
   * The next events after a position; a short page proves nothing, an empty one is the end. head: how far the journal was then. Null where
   * the journal has them no longer.
   * @param {Position} after @param {AbortSignal} signal
   */
  async events({ epoch, seq }, signal) {
    const { status, text } = await this._get(`/events?epoch=${encodeURIComponent(epoch)}&after=${seq}&limit=${PAGE_EVENTS}`, signal);
    if (status === 410) return null;
    const page = status === 200 ? parsed(text) : null;
    const inOrder = (/** @type {any} */ frame, /** @type {number} */ at) => frame?.id != null && frame.seq === seq + 1 + at;
    if (!(Array.isArray(page?.events) && page.events.every(inOrder) && Number.isSafeInteger(page.head))) {
      throw new MigctlError(`${this.url}/events: HTTP ${status}, and no events after ${seq}`, AGAIN);
    }
    const bytes = Math.ceil(text.length / (page.events.length + 1));
    const items = page.events.map((/** @type {any} */ frame) => releaseOf(frame, epoch, 'resume', bytes));
    return { items, head: { epoch: page.epoch, seq: page.head } };
  }
}

/** @param {any} name @returns {name is TransportName} */
const isTransport = (name) => name === 'websocket' || name === 'realtime';

/** @param {any} value */
const isText = (value) => value == null || typeof value === 'string';

/** @param {any} value */
const isObject = (value) => typeof value === 'object' && value !== null;

/** Whether it is an assignment; what an older server does not say may be wanting. @param {any} found */
function isAssignment(found) {
  const { transport, assigned, version, reason, epoch, channel, supabase_url: url, anon_key: key, access_token: token, live, fallback } = found ?? {};
  return (
    isTransport(transport) && (assigned == null || isTransport(assigned)) && typeof epoch === 'string' && [reason, channel, url, key, token].every(isText) &&
    (version == null || Number.isSafeInteger(version)) && [undefined, null, 'broadcast', 'postgres_changes'].includes(live) && isFallback(fallback)
  );
}

/** @param {any} fallback */
const isFallback = (fallback) =>
  fallback === undefined ||
  (isObject(fallback) && [fallback.hold_seconds, fallback.max_spread_s].every((value) => value === undefined || Number.isFinite(value)));

/** @param {any} frame @param {string} epoch @param {'live' | 'resume'} via @param {number} bytes */
const releaseOf = (frame, epoch, via, bytes) =>
  new Release({
    id: frame.id, epoch, seq: frame.seq, eventType: frame.type, timestamp: frame.timestamp, source: frame.source ?? '', data: frame.data,
    committedAt: frame.committed_at ?? null, clock: frame.clock, sourceId: frame.source_id, via, bytes, transport: 'websocket', receivedAt: Date.now(),
  });

/** A heartbeat is the answer. */
const ASK = '{"type":"sys.ask"}';

/**
 * The v2 socket: what the gateway sends, into a Flow; after a loss it resumes at the Flow's position. Or, with `standby`, its heartbeats and
 * its word of where to go, and no event. A browser can't keep a socket waiting: what does not fit is asked for later.
 */
export class Stream extends Link {
  _greeted = false;
  /** @type {'live' | 'resume'} */
  _via = 'live';

  /**
   * @param {Serve} serve @param {import('./flow.js').Flow} flow
   * @param {{standby?: boolean, alone: boolean, wanted: Position | null, heartbeatS: number | null, claims: () => Record<string, string>,
   *   changed: () => void, redirected: (word: Redirect | null) => void, onAssignment: (answer: Answer) => void,
   *   note: (error: MigctlError) => void, log: import('./subscriber.js').Log}} how
   */
  constructor(serve, flow, how) {
    super({ ...how, silenceS: MISSED_HEARTBEATS * (how.heartbeatS ?? 5) });
    this._serve = serve;
    this._flow = flow;
    this._how = how;
    /** @type {import('./core/resuming.js').Hello | null} */
    this._hello = null;
  }

  get observed() {
    return { ...super.observed, carries: !this._how.standby };
  }

  /** It is connected, and gets each new assignment. */
  get assigns() {
    return this.liveness.up && this._hello?.assigns === true;
  }

  /** @param {AbortSignal} signal */
  async address(signal) {
    this._hello = null;
    this._greeted = false;
    /** @type {Record<string, string>} */
    const query = { v: '2', ...this._how.claims() };
    if (this._how.standby) query.role = 'standby';
    else {
      await this._serve.checkReady(signal);
      const at = this._flow.merge.top ?? this._how.wanted;
      if (at) Object.assign(query, { epoch: at.epoch, after: String(at.seq) });
    }
    const protocols = ['migctl.v2', ...(this._serve.token ? [`migctl.token.${this._serve.token}`] : [])];
    return { url: `${this._serve.url.replace(/^http/, 'ws')}/ws?${new URLSearchParams(query)}`, protocols };
  }

  /** @param {(text: string) => void} send */
  ask(send) {
    send(ASK);
  }

  /** @param {number} code @param {string} reason */
  closed(code, reason) {
    const what = `${this._serve.url}: the gateway closed the socket: ${code} ${reason}`.trim();
    if (code === 4401) return new MigctlError(what, TOKEN, { retry: false });
    return new MigctlError(what, 'see that `migctl serve` runs');
  }

  /** @param {MigctlError} error */
  ends(error) {
    this._how.note(error);
    // With tables beside it, a refusal that no retry changes is still tried again: an operator may be mending it.
    return this._how.alone && !this._how.standby && !error.retry;
  }

  /** @param {string} text */
  received(text) {
    const frame = JSON.parse(text);
    if (this._hello === null) return this._begin(frame);
    if (frame.type === 'sys.hb') this.liveness.answer(now());
    this.liveness.hear(now());
    if (!this._greeted) {
      // A fallback that lasts is told right after the hello, so that any other frame says that none does.
      this._greeted = true;
      if (frame.type !== 'sys.fallback') this._how.redirected(null);
    }
    const { epoch } = this._hello;
    if (frame.id != null && Number.isSafeInteger(frame.seq)) this._flow.offer([releaseOf(frame, epoch, this._via, text.length)]);
    else if (frame.type === 'sys.caught_up') this._via = 'live';
    else if (frame.type === 'sys.hb' && frame.data.epoch === epoch && !this._how.standby) this._hear(epoch, frame.data.head);
    else if (frame.type === 'sys.fallback' && isTransport(frame.data.to)) {
      this._how.redirected(frame.data.spread_s >= 0 ? frame.data : { ...frame.data, spread_s: undefined });
    } else if (frame.type === 'sys.assignment' && isTransport(frame.data.transport)) {
      const { transport, version, reason } = frame.data;
      this._how.onAssignment({ transport, version: Number.isSafeInteger(version) ? version : 0, reason: String(reason ?? '') });
    }
  }

  /** @param {string} epoch @param {any} head */
  _hear(epoch, head) {
    if (Number.isSafeInteger(head)) this._flow.hear(epoch, head);
  }

  /** @param {any} frame */
  _begin(frame) {
    const { v, epoch, head, tail } = frame?.data ?? {};
    if (frame?.type !== 'sys.hello' || v !== 2 || typeof epoch !== 'string' || !Number.isSafeInteger(head) || !Number.isSafeInteger(tail)) {
      throw new MigctlError(`${this._serve.url}: what answers there does not speak v2 of migctl's protocol`, 'give the address of `migctl serve`', { retry: false });
    }
    /** @type {import('./core/resuming.js').Hello} */
    const hello = frame.data;
    this._hello = hello;
    this._via = hello.resume === 'recovered' ? 'resume' : 'live';
    if (this._how.heartbeatS === null && Number(hello.heartbeat_s) > 0) this.liveness.silenceS = MISSED_HEARTBEATS * Number(hello.heartbeat_s);
    if (!this._how.standby && !this._resume(hello)) throw new MigctlError('the journal begins later than this socket', AGAIN);
    this.join({ asks: hello.asks === true });
    if (!this._how.standby) this._flow.hear(hello.epoch, hello.head);
  }

  /** False where another socket would bring more. @param {import('./core/resuming.js').Hello} hello */
  _resume(hello) {
    const flow = this._flow;
    const todo = begin(hello, { top: flow.merge.top, wanted: this._how.wanted, alone: this._how.alone });
    if (todo.start) flow.start(todo.start);
    if (todo.loseTo !== undefined) flow.lose(todo.loseTo, todo.reason);
    if (todo.goTo) flow.nextEpoch(todo.goTo, { reason: todo.reason });
    return todo.keep;
  }
}
