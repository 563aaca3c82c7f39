/**
 * Assigned: the transport that a subscriber takes as its own, by what it is told and what it asks. Pure.
 *
 * Servers may be behind one another, and what one of them says may be old: down is followed whatever its version, up only by a
 * version that is not older, and after a brake only by a higher one. The table stands in migctl/subscriber/core/assigned.py.
 *
 * @typedef {import('./items.js').TransportName} TransportName
 * @typedef {{transport: TransportName, version: number, reason: string}} Answer version: of the flag set, 0 for none
 * @typedef {{transport: TransportName, version: number, braked: boolean}} Held version: the highest it heard
 */

const BRAKED = 'BRAKED';
const BLIND = 'STALE';

/** Of the first answer there is. @param {Answer} answer @returns {Held} */
export const first = ({ transport, version, reason }) => ({ transport, version, braked: reason === BRAKED });

/** What it goes by after an answer that it was sent. @param {Held} held @param {Answer} answer @returns {Held} */
export function heard(held, answer) {
  if (goesUp(held, answer) && !sendsUp(held, answer)) return held;
  return {
    transport: answer.transport,
    version: Math.max(held.version, answer.version),
    braked: answer.reason === BRAKED || (held.braked && answer.version <= held.version),
  };
}

/**
 * The same for an answer that it asked for. pushed: a socket sends it, in its turn. away: Realtime is, by that answer.
 * @param {Held} held @param {Answer} answer @param {{pushed: boolean, away: boolean}} by
 */
export const asked = (held, answer, { pushed, away }) => (goesUp(held, answer) && (pushed || away) ? held : heard(held, answer));

/** @param {Held} held @param {Answer} answer */
const goesUp = (held, answer) => answer.transport === 'realtime' && held.transport === 'websocket';

/** @param {Held} held @param {Answer} answer */
function sendsUp(held, { version, reason }) {
  if (version === 0) return !(held.braked && reason === BLIND);
  return held.braked ? version > held.version : version >= held.version;
}
