/**
 * The tables, read over PostgREST as `authenticated`, and catch-up as it is done: reads what the rule of catch-up asks for, and hands on
 * what it answers.
 *
 * @typedef {import('./core/items.js').Item} Item
 */
import { newest } from './core/chain.js';
import { Memory, Round } from './core/catchup.js';
import { Release, Skip, spelled } from './core/items.js';
import { MigctlError, get, now, parsed } from './waiting.js';

export const EVENTS = 'monitoring_events';
export const TOMBSTONES = 'monitoring_tombstones';
export const HEADS = 'monitoring_heads';
const ROW = 'id,seq,event_type,timestamp,source,data,committed_at';
const TOMBSTONE = 'id,seq,event,committed_at';
const HEAD = 'epoch,prev_epoch,lost_from,lost_to,started_at,table_tail,table_head,journal_head';

const TIMEOUT_S = 5;
const MOST_ROWS = 1000;
// A page is asked for by rows and paid for in bytes.
const WANTED_PAGE_BYTES = 4 << 20;
// A doubt lasts while somebody asks. Where the tables are away, or the page was frozen, nobody could have ended it.
const MOST_BETWEEN_S = 10;

/** One reader's way to the tables of one project. */
export class Tables {
  /** @param {import('./gateway.js').Project} project @param {import('./realtime.js').Token} token */
  constructor(project, token) {
    this._project = project;
    this._token = token;
    this._limit = 200;
  }

  /** All epochs. @param {AbortSignal} signal @returns {Promise<import('./core/chain.js').Head[]>} */
  async heads(signal) {
    const { rows } = await this._read(HEADS, { select: HEAD, order: 'started_at.asc' }, signal);
    if (!rows.every(isHead)) throw new MigctlError(`${HEADS}: a row is none of ours`, 'run `migctl schema verify`');
    return rows;
  }

  /**
   * The highest seq of an epoch that is a row or a tombstone, above this one. Tombstones first: what becomes a row meanwhile is found as one
   * of the two.
   * @param {string} epoch @param {number} after @param {AbortSignal} signal
   */
  async last(epoch, after, signal) {
    let found = null;
    for (const table of [TOMBSTONES, EVENTS]) {
      const query = { select: 'seq', epoch: `eq.${epoch}`, seq: `gt.${after}`, order: 'seq.desc', limit: '1' };
      const { rows } = await this._read(table, query, signal);
      if (rows.length > 0) found = Math.max(found ?? 0, rows[0].seq);
    }
    return found;
  }

  /** An empty list is the end, a short one proves nothing. @param {string} epoch @param {number} after @param {AbortSignal} signal @returns {Promise<Item[]>} */
  async tombstones(epoch, after, signal) {
    const { rows, bytes } = await this._page(TOMBSTONES, TOMBSTONE, epoch, after, MOST_ROWS, signal);
    return rows.map((row) => {
      if (row.event === null) return new Skip(epoch, row.seq);
      const event = parsed(row.event);
      if (event?.data === undefined) throw new MigctlError(`${TOMBSTONES}: seq ${row.seq} has no event for a text`, 'run `migctl schema verify`');
      return releaseOf({ ...row, ...event, id: row.id, seq: row.seq }, epoch, bytes);
    });
  }

  /** upto: the last seq that is wanted. @param {string} epoch @param {number} after @param {number | null} upto @param {AbortSignal} signal @returns {Promise<Item[]>} */
  async rows(epoch, after, upto, signal) {
    const { rows, bytes } = await this._page(EVENTS, ROW, epoch, after, upto === null ? MOST_ROWS : upto - after, signal);
    if (rows.length > 0) this._limit = Math.max(1, Math.min(MOST_ROWS, Math.floor(WANTED_PAGE_BYTES / bytes), this._limit * 2));
    return rows.map((row) => releaseOf(row, epoch, bytes));
  }

  /** @param {string} table @param {string} select @param {string} epoch @param {number} after @param {number} most @param {AbortSignal} signal */
  async _page(table, select, epoch, after, most, signal) {
    const limit = String(Math.min(this._limit, most));
    const page = await this._read(table, { select, epoch: `eq.${epoch}`, seq: `gt.${after}`, order: 'seq.asc', limit }, signal);
    let before = after;
    for (const { seq } of page.rows) {
      // Who went on from what was not asked for would go round for ever.
      if (!(seq > before)) throw new MigctlError(`${table}: seq ${seq} comes after ${before}`, 'see what answers at SUPABASE_URL');
      before = seq;
    }
    return page;
  }

  /** @param {string} table @param {Record<string, string>} query @param {AbortSignal} signal @returns {Promise<{rows: any[], bytes: number}>} */
  async _read(table, query, signal) {
    const url = `${this._project.url}/rest/v1/${table}?${new URLSearchParams(query)}`;
    for (const again of [true, false]) {
      const headers = {
        apikey: this._project.anonKey,
        Authorization: `Bearer ${await this._token.get({ signal })}`,
        'Accept-Profile': this._project.schema,
        Accept: 'application/json',
      };
      const { status, text } = await get(url, { headers, seconds: TIMEOUT_S, signal });
      if (status === 200) {
        const rows = parsed(text);
        if (!Array.isArray(rows)) throw new MigctlError(`${table}: no list of rows`, 'see what answers at SUPABASE_URL');
        return { rows, bytes: Math.ceil(text.length / (rows.length + 1)) };
      }
      if (status === 401) this._token.refused();
      if (status !== 401 || !again) throw new MigctlError(`read ${table}: HTTP ${status} ${text.slice(0, 200)}`, 'run `migctl schema verify`');
    }
    throw new Error('not reached');
  }
}

/** @param {any} row */
const isHead = (row) =>
  typeof row?.epoch === 'string' && typeof row.started_at === 'string' && [row.table_tail, row.table_head, row.journal_head].every(Number.isSafeInteger) &&
  [row.lost_from, row.lost_to].every((seq) => seq === null || Number.isSafeInteger(seq));

/** @param {any} row @param {string} epoch @param {number} bytes */
const releaseOf = (row, epoch, bytes) =>
  new Release({
    id: row.id, epoch, seq: row.seq, eventType: row.event_type, timestamp: spelled(row.timestamp), source: row.source, data: row.data,
    committedAt: row.committed_at && spelled(row.committed_at), clock: row.clock, sourceId: row.source_id, via: 'table', bytes, transport: 'realtime', receivedAt: Date.now(),
  });

/** Reads for one Flow. Not for two at once. */
export class CatchUp {
  /** @param {Tables} tables @param {import('./flow.js').Flow} flow @param {number} patienceS */
  constructor(tables, flow, patienceS, log = /** @type {import('./subscriber.js').Log} */ (() => {})) {
    this._tables = tables;
    this._flow = flow;
    this._memory = new Memory(patienceS);
    this._log = log;
    this._askedAt = now();
    this._asked = 0; // for how long
  }

  /** Begin at the table's head, as it is now. False where nothing was ever written. @param {AbortSignal} signal */
  async start(signal) {
    const heads = await this._tables.heads(signal);
    if (this._flow.merge.top !== null) return true;
    const head = newest(heads);
    if (head === null) return false;
    this._flow.start({ epoch: head.epoch, seq: head.table_head });
    for (const epoch of new Round(this._memory, heads).ancestors(head.epoch)) this._flow.merge.forget(epoch);
    return true;
  }

  /** Read heads, then what is missing, as far as it is there. @param {boolean} toTheEnd @param {AbortSignal} signal */
  async round(toTheEnd, signal) {
    const { merge } = this._flow;
    const rule = new Round(this._memory, await this._tables.heads(signal), toTheEnd);
    this._asked += Math.min(now() - this._askedAt, MOST_BETWEEN_S);
    this._askedAt = now();
    for (;;) {
      signal.throwIfAborted();
      if (merge.top === null) return;
      const { top } = merge;
      const step = rule.next({ top, missing: merge.missing(), heard: merge.heard }, this._asked);
      if (step === null) {
        for (const epoch of rule.ancestors(top.epoch)) merge.forget(epoch);
        return;
      }
      await this._do(step, rule, signal);
    }
  }

  /** @param {import('./core/catchup.js').Step} step @param {Round} rule @param {AbortSignal} signal */
  async _do(step, rule, signal) {
    const { _tables: tables, _flow: flow } = this;
    switch (step.do) {
      case 'hear':
        for (const [epoch, head] of step.heads) flow.hear(epoch, head);
        break;
      case 'last':
        rule.last(await tables.last(step.epoch, step.after, signal));
        break;
      case 'tombstones':
        rule.tombstones(await tables.tombstones(step.epoch, step.after, signal));
        break;
      case 'rows':
        rule.rows(await tables.rows(step.epoch, step.after, step.upto, signal));
        break;
      case 'take':
        for (const item of step.items) {
          if (item instanceof Release && flow.merge.named(item.seq)) item.via = 'fetch';
          await flow.put(item, signal);
        }
        break;
      case 'lose':
        this._log('events are not coming', { reason: step.reason, to: step.to });
        flow.lose(step.to, step.reason);
        break;
      case 'goOn':
        if (step.reason !== null) this._log('events are not coming', { reason: step.reason, lost: step.lost, epoch: step.position.epoch });
        flow.nextEpoch(step.position, step);
    }
  }
}
