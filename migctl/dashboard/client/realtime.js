/**
 * The side of Supabase Realtime: the channel that brings hints, by Phoenix frames of our own (version 1.0.0 of them, which are text only).
 * It makes an event early, never certain: somebody beside it has to read the tables.
 *
 * @typedef {import('./core/items.js').Item} Item
 * @typedef {{epoch: string, head: number, items: Item[], named: number[]}} Hint
 *   items: what came whole. named: seqs whose text is to be fetched. head: the highest seq this speaks of.
 */
import { Release, spelled } from './core/items.js';
import { Link } from './link.js';
import { MISSED_HEARTBEATS } from './gateway.js';
import { EVENTS, TOMBSTONES } from './tables.js';
import { MigctlError, now, within, words } from './waiting.js';

const BEAT_S = 25;
const ASK_S = 10; // for a token
const DENIED = /Unauthorized|InvalidJWT|MalformedJWT|JwtSignatureError|PrivateOnly|TopicNameRequired/;

/** The broadcast `events`; null where it is of another version, or no such thing. @param {any} payload @param {number} length @returns {Hint | null} */
export function readEvents(payload, length) {
  if (payload?.v !== 1 || typeof payload.epoch !== 'string' || !Number.isSafeInteger(payload.last) || !Array.isArray(payload.events)) return null;
  const bytes = Math.ceil(length / (payload.events.length + 1));
  /** @type {Hint} */
  const hint = { epoch: payload.epoch, head: payload.last, items: [], named: [] };
  for (const event of payload.events) {
    if (!Number.isSafeInteger(event?.seq)) return null;
    if (isObject(event.data) && typeof event.id === 'string' && typeof event.event_type === 'string') hint.items.push(releaseOf(event, payload.epoch, bytes));
    else hint.named.push(event.seq);
  }
  return hint;
}

/** The broadcast `heartbeat`: how far the journal is. @param {any} payload @returns {Hint | null} */
export function readHeartbeat(payload) {
  if (payload?.v !== 1 || typeof payload.epoch !== 'string' || !Number.isSafeInteger(payload.journal_head)) return null;
  return { epoch: payload.epoch, head: payload.journal_head, items: [], named: [] };
}

/** An INSERT into either table. A row that was cut for its size, and every tombstone, is only named. @param {any} change @param {number} length @returns {Hint | null} */
export function readInsert(change, length) {
  const { epoch, seq, data } = change?.record ?? {};
  if (typeof epoch !== 'string' || !Number.isSafeInteger(seq)) return null; // a row from before there was a journal
  const whole = !change.errors && isObject(data);
  const times = whole && { timestamp: spelled(`${change.record.timestamp}`), committed_at: change.record.committed_at && spelled(`${change.record.committed_at}`) };
  return { epoch, head: seq, items: whole ? [releaseOf({ ...change.record, ...times }, epoch, length)] : [], named: whole ? [] : [seq] };
}

/** @param {unknown} data */
const isObject = (data) => typeof data === 'object' && data !== null && !Array.isArray(data);

/** @param {any} event @param {string} epoch @param {number} bytes */
const releaseOf = (event, epoch, bytes) =>
  new Release({
    id: String(event.id).toLowerCase(), epoch, seq: event.seq, eventType: event.event_type, timestamp: event.timestamp, source: event.source ?? '',
    data: event.data, committedAt: event.committed_at ?? null, clock: event.clock, sourceId: event.source_id, via: 'live', bytes,
    transport: 'realtime', receivedAt: Date.now(),
  });

/** Hints over Realtime, into a Flow, over one channel after another. */
export class Live extends Link {
  _sent = ''; // the token
  _beatAt = 0;
  _renewing = false;
  /** @type {string | null} */
  _joinRef = null;

  /**
   * @param {import('./gateway.js').Project} project @param {Token} token @param {import('./flow.js').Flow} flow
   * @param {{heartbeatS: number | null, changed: () => void, note: (error: MigctlError) => void, log: import('./subscriber.js').Log}} how
   */
  constructor(project, token, flow, how) {
    super({ ...how, silenceS: MISSED_HEARTBEATS * (how.heartbeatS ?? 5) });
    this._project = project;
    this._token = token;
    this._flow = flow;
    this._note = how.note;
    this._topic = `realtime:${project.channel}`;
    this._why = '';
    this._ref = 0;
  }

  /** @param {AbortSignal} signal */
  async address(signal) {
    this._sent = await this._token.get({ signal });
    this._why = '';
    this._joinRef = null;
    const query = new URLSearchParams({ apikey: this._project.anonKey, vsn: '1.0.0' });
    return { url: `${this._project.url.replace(/^http/, 'ws')}/realtime/v1/websocket?${query}`, protocols: [] };
  }

  /** @param {MigctlError} error */
  ends(error) {
    this._note(error);
    if (!error.retry) this._token.refused();
    return false; // a refusal that no retry changes is still tried again: an operator may be mending it
  }

  /** @param {(text: string) => void} send */
  opened(send) {
    const changes = [EVENTS, TOMBSTONES].map((table) => ({ event: 'INSERT', schema: this._project.schema, table }));
    const config = {
      private: true,
      broadcast: { ack: false, self: false },
      presence: { key: '', enabled: false },
      postgres_changes: this._project.live === 'postgres_changes' ? changes : [],
    };
    this._beatAt = now() + BEAT_S;
    this._joinRef = this._push(send, this._topic, 'phx_join', { config, access_token: this._sent });
  }

  /** @param {(text: string) => void} send @param {string} topic @param {string} event @param {object} payload */
  _push(send, topic, event, payload) {
    const ref = String(++this._ref);
    send(JSON.stringify({ topic, event, payload, ref, join_ref: topic === 'phoenix' ? null : (this._joinRef ?? ref) }));
    return ref;
  }

  /** @param {(text: string) => void} send */
  ask(send) {
    this._push(send, 'phoenix', 'heartbeat', {});
  }

  /** @param {number} code @param {string} reason */
  closed(code, reason) {
    return this._lost(this._why || `${code} ${reason}`.trim());
  }

  /** @param {string} why */
  _lost(why) {
    const what = `${this._project.url}: Realtime closed the channel ${this._topic}: ${why}`;
    return new MigctlError(what, 'see SUPABASE_PUBLISHABLE_KEY of `migctl serve`, and what makes its tokens', { retry: !DENIED.test(why) });
  }

  /** @param {string} text @param {(text: string) => void} send */
  received(text, send) {
    // Timers of a page in the background may stand still, and heartbeats of ours come all the time.
    if (now() >= this._beatAt) {
      this._beatAt = now() + BEAT_S;
      this._push(send, 'phoenix', 'heartbeat', {});
    }
    if (this._token.isDue(this._sent) && !this._renewing) this._renew(send);
    const { topic, event, payload, ref } = JSON.parse(text);
    if (topic === 'phoenix') return this.liveness.answer(now());
    if (topic !== this._topic) return;
    const live = this._project.live;
    if (event === 'phx_reply' && ref === this._joinRef && !this.liveness.up) {
      if (payload.status !== 'ok') throw this._lost(payload.response?.reason ?? JSON.stringify(payload));
      if (live === 'broadcast') this.join({ asks: true });
    } else if (event === 'system') {
      if (payload.status !== 'ok') {
        this._why = String(payload.message);
        if (payload.extension === 'postgres_changes') throw this._lost(this._why);
      } else if (payload.extension === 'postgres_changes' && !this.liveness.up) this.join({ asks: true }); // the reply to the join is not readiness
    } else if (event === 'phx_close' || event === 'phx_error') {
      throw this._lost(this._why || event);
    } else if (event === 'broadcast' || event === 'postgres_changes') {
      this.liveness.hear(now());
      this._take(
        event === 'postgres_changes' ? readInsert(payload.data, text.length)
          : payload.event === 'events' ? readEvents(payload.payload, text.length)
          : payload.event === 'heartbeat' ? readHeartbeat(payload.payload)
          : null,
      );
    }
  }

  /** Give the server a newer token, before it closes the channel for the old one. @param {(text: string) => void} send */
  async _renew(send) {
    this._renewing = true;
    try {
      const token = await this._token.get();
      if (token === this._sent) return;
      this._sent = token;
      this._push(send, this._topic, 'access_token', { access_token: token });
    } catch (error) {
      this._log('token not renewed', { reason: words(error) });
    } finally {
      this._renewing = false;
    }
  }

  /** @param {Hint | null} hint */
  _take(hint) {
    if (hint === null) return;
    for (const seq of hint.named) this._flow.name(hint.epoch, seq);
    if (hint.items.length > 0) this._flow.offer(hint.items);
    this._flow.hear(hint.epoch, hint.head);
  }
}

/** The access token of one reader, renewed at 80 % of its life, before somebody refuses it. */
export class Token {
  /** @param {() => Promise<string>} ask @param {string | null} first one that we have already */
  constructor(ask, first) {
    this._ask = ask;
    /** @type {string | null} */
    this._text = null;
    this._renewAt = this._endsAt = 0;
    /** @type {Promise<string> | null} */
    this._asking = null;
    if (first !== null) this._keep(first);
  }

  /** Seconds until the next renewal is due. */
  get renewInS() {
    return Math.max(0, this._renewAt - now());
  }

  /** Whether who was given this one is to be given another: it is there already, or it is time to ask for it. @param {string} sent */
  isDue(sent) {
    return this._text !== sent || now() >= this._renewAt;
  }

  /** The one we have is not good: the next is asked for. */
  refused() {
    this._text = null;
  }

  /** A token that is good for a while. Until the one we have has ended it is used, whoever gives them may be away. @param {{signal?: AbortSignal}} [how] @returns {Promise<string>} */
  async get({ signal } = {}) {
    if (this._text !== null && now() < this._renewAt) return this._text;
    try {
      // Of all who ask; who leaves takes it from nobody else.
      this._asking ??= this._ask().finally(() => (this._asking = null));
      return this._keep(await within(this._asking, 'a token for Realtime', ASK_S, signal));
    } catch (error) {
      const left = this._endsAt - now();
      if (this._text === null || left <= 0) throw error;
      this._renewAt = now() + Math.min(Math.max(left / 4, 0.1), 5);
      return this._text;
    }
  }

  /** @param {string} text */
  _keep(text) {
    let life = 3600; // for a token that names no moment at which it ends
    try {
      const { exp } = JSON.parse(atob(text.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')));
      if (typeof exp === 'number') life = Math.max(0, exp - Date.now() / 1000);
    } catch {
      this._log?.('a token that is no JWT', {});
    }
    this._renewAt = now() + 0.8 * life;
    this._endsAt = now() + life;
    return (this._text = text);
  }

  /** @type {import('./subscriber.js').Log | undefined} */
  _log;
}
