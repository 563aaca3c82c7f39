/**
 * What a subscriber hands out: releases, and discontinuities where the stream itself has a hole. Pure.
 *
 * @typedef {'websocket' | 'realtime'} TransportName
 * @typedef {{epoch: string, seq: number}} Position
 * @typedef {'live' | 'resume' | 'table' | 'fetch'} Via live; resume (the gateway had kept it); table (catch-up or repair); fetch
 *   (the hint named it, the table had its text)
 * @typedef {{id: string, epoch: string, seq: number, eventType: string, timestamp: string, source: string, data: any,
 *   committedAt: string | null, via: Via, transport: TransportName, receivedAt: number, bytes: number, clock?: string | null,
 *   sourceId?: string | null}} ReleaseFields
 * @typedef {Release | Skip} Item
 */

// As PostgreSQL writes a time in JSON: in the zone of the session, whose offset had seconds once, and in years before Christ.
const STORED = /^(\d{4,6})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:Z|([+-])(\d\d):?(\d\d)?:?(\d\d)?)( BC)?$/;

/** The moment of a row in the spelling of all other ways (`2026-01-31T12:00:00.000000Z`); as it came where no event can have it. @param {string} text */
export function spelled(text) {
  const found = STORED.exec(text);
  if (!found) return text;
  const [years, month, day, hour, minute, second, , , hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0));
  const at = new Date(0);
  at.setUTCFullYear(found[12] ? 1 - years : years, month - 1, day);
  at.setUTCHours(hour, minute, second);
  const ahead = (found[8] === '-' ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
  const [whole] = new Date(at.getTime() - ahead * 1000).toISOString().split('.');
  return /^(?!0000)\d{4}-/.test(whole) ? `${whole}.${(found[7] ?? '').padEnd(6, '0')}Z` : text;
}

/** One event, handed out once and in seq order. timestamp, committedAt: RFC 3339, spelled the same whatever way it came. */
export class Release {
  /** @param {ReleaseFields} fields */
  constructor(fields) {
    this.id = fields.id;
    this.epoch = fields.epoch;
    this.seq = fields.seq;
    this.eventType = fields.eventType;
    this.timestamp = fields.timestamp;
    this.source = fields.source;
    /** The object, as JSON.parse reads it: a number that no double holds is rounded. */
    this.data = fields.data;
    this.committedAt = fields.committedAt;
    this.via = fields.via;
    this.transport = fields.transport;
    /** Its first arrival: milliseconds, as of Date.now. */
    this.receivedAt = fields.receivedAt;
    /** How long its text was, about. */
    this.bytes = fields.bytes;
    this.clock = fields.clock ?? null;
    this.sourceId = fields.sourceId ?? null;
  }

  /** @returns {Position} */
  get position() {
    return { epoch: this.epoch, seq: this.seq };
  }

  /** True for events of ours (`sys.*`). */
  get isControl() {
    return this.eventType.startsWith('sys.');
  }
}

/** A seq that has nothing to deliver: a tombstone without text, because its id was delivered before. */
export class Skip {
  /** @param {string} epoch @param {number} seq */
  constructor(epoch, seq) {
    this.epoch = epoch;
    this.seq = seq;
  }
}

/**
 * The stream goes on at `resumed`, and what lies between is not coming.
 *
 * reason: lost (neither journal nor table has it), pruned, broken (the table should have it), or the gateway's own word: trimmed,
 * epoch, ahead. lostFrom, lostTo: seqs of `after.epoch`, inclusive; null where it is not known how far that epoch went.
 */
export class Discontinuity {
  /** @param {Position} after @param {Position} resumed @param {string} reason @param {number | null} lostFrom @param {number | null} lostTo */
  constructor(after, resumed, reason, lostFrom, lostTo) {
    this.after = after;
    this.resumed = resumed;
    this.reason = reason;
    this.lostFrom = lostFrom;
    this.lostTo = lostTo;
  }
}

/** @param {Position | null} one @param {Position | null} other */
export const same = (one, other) => one?.epoch === other?.epoch && one?.seq === other?.seq;
