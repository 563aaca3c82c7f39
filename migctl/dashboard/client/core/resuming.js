/**
 * Resuming: what a stream makes of a hello. Pure. The table stands in migctl/subscriber/gateway/resuming.py.
 *
 * @typedef {import('./items.js').Position} Position
 * @typedef {{v: number, epoch: string, head: number, tail: number, resume: 'fresh' | 'recovered' | 'unrecoverable', reason: string | null,
 *   heartbeat_s?: number, assigns?: boolean, asks?: boolean}} Hello
 * @typedef {{start?: Position, loseTo?: number, goTo?: Position, reason: string, keep: boolean}} Begin
 *   What is to be done, in this order. keep: false where a new socket, at another position, would bring more than this one.
 */

/**
 * top: of Merge, null before it was started. wanted: where it is to start; null, or without an epoch, is at the head. alone: nobody beside it reads tables.
 * @param {Hello} hello @param {{top: Position | null, wanted: Position | null, alone: boolean}} by @returns {Begin}
 */
export function begin(hello, { top, wanted, alone }) {
  const here = { epoch: hello.epoch, seq: hello.head };
  const at = top ?? (wanted?.epoch ? wanted : null);
  if (at === null) return { start: here, reason: '', keep: true };
  const start = top === null ? at : undefined;
  if (hello.resume === 'recovered' || !alone) return { start, reason: '', keep: true };
  const resumed = hello.reason === 'ahead' ? here : { epoch: hello.epoch, seq: Math.max(0, hello.tail - 1) };
  const keep = resumed.seq === here.seq;
  if (resumed.epoch === at.epoch && resumed.seq > at.seq) {
    return { start, loseTo: resumed.seq, reason: hello.reason || 'trimmed', keep };
  }
  return { start, goTo: resumed, reason: hello.reason || 'epoch', keep };
}
