/** Link: one WebSocket, from its opening to its loss, and who comes back to it. The gateway's and Realtime's are both such. */
import { Liveness, RequestTimeout } from './core/liveness.js';
import { boundS } from './core/repair.js';
import { MigctlError, later, now, pause } from './waiting.js';

// How long a socket may take to open: at first, and afterwards as long as it takes here, but within these bounds.
const OPEN_S = 10;
const LEAST_OPEN_S = 1.5;
// Who is asked to join may hold a refusal back for a while.
const JOIN_S = 10;

/**
 * One socket after another. `run` until its signal ends it.
 * @abstract
 */
export class Link {
  /** @param {{silenceS: number, changed: () => void, log: import('./subscriber.js').Log}} by changed: called after each join and each loss */
  constructor({ silenceS, changed, log }) {
    this.liveness = new Liveness(now(), silenceS);
    this.joins = 0;
    this._opening = new RequestTimeout(OPEN_S, LEAST_OPEN_S, OPEN_S);
    this._openedAt = 0;
    this._changed = changed;
    this._log = log;
    /** @type {(error: MigctlError) => void} ends the socket that is open */
    this.giveUp = () => {};
  }

  /** @returns {import('./core/attachment.js').Observed} */
  get observed() {
    const { up, since, heardAt, silenceS } = this.liveness;
    return { up, since, heardAt, silenceS };
  }

  get reconnects() {
    return Math.max(0, this.joins - 1);
  }

  /** What is to be opened. Raises MigctlError where it is not worth it. @param {AbortSignal} _signal @returns {Promise<{url: string, protocols: string[], words?: string[]}>} */
  async address(_signal) {
    throw new Error('abstract');
  }

  /** It is open. @param {(text: string) => void} _send */
  opened(_send) {}

  /** A frame came. Raises MigctlError where that is the end of it. @param {string} _text @param {(text: string) => void} _send */
  received(_text, _send) {}

  /** Ask over it for an answer. @param {(text: string) => void} _send */
  ask(_send) {}

  /** Words of a close. @param {number} code @param {string} reason */
  closed(code, reason) {
    return new MigctlError(`the socket was closed: ${code} ${reason}`.trim(), 'nothing: it is tried again');
  }

  /** Whether an error is raised, and not waited out. @param {MigctlError} _error */
  ends(_error) {
    return false;
  }

  /** To be called by `received` once nothing more can be missed. asks: whether `ask` is answered. @param {{asks: boolean}} how */
  join({ asks }) {
    this.joins++;
    this._failures = 0;
    this.liveness.join(now(), asks, now() - this._openedAt);
    this._changed();
  }

  /** @param {AbortSignal} signal */
  async run(signal) {
    this.liveness.start(now());
    this._failures = 0;
    let refused = '';
    while (!signal.aborted) {
      const error = await this._once(signal);
      if (this.liveness.up) {
        this.liveness.lose(now());
        this._changed();
      }
      if (signal.aborted) return;
      if (this.ends(error)) throw error;
      this._failures++;
      // What no wait helps is news, too, where it comes after a loss that one would have helped.
      if (this._failures === 1 || (!error.retry && error.what !== refused)) this._log('connection lost', { link: this.constructor.name, reason: error.what });
      refused = error.retry ? refused : error.what;
      await pause(error.retry ? Math.random() * boundS(this._failures) : boundS(30), signal);
    }
  }

  /** @param {AbortSignal} signal @returns {Promise<MigctlError>} */
  async _once(signal) {
    let address;
    try {
      address = await this.address(signal);
    } catch (error) {
      if (error instanceof MigctlError || signal.aborted) return /** @type {MigctlError} */ (error);
      throw error;
    }
    if (signal.aborted) return new MigctlError('left', '');
    let socket;
    try {
      socket = new WebSocket(address.url, address.protocols);
    } catch (error) {
      return new MigctlError(`no socket to ${new URL(address.url).origin} can be made: ${error}`, 'see the address, and that the token is one', { retry: false });
    }
    /** @param {string} text */
    const send = (text) => socket.readyState === WebSocket.OPEN && socket.send(text);
    return new Promise((resolve) => {
      const opening = this._opening;
      const began = now();
      let due = began + opening.seconds;
      let forget = () => {};
      /** @param {MigctlError} error */
      const end = (error) => {
        forget();
        signal.removeEventListener('abort', leave);
        socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
        socket.onerror = () => {};
        this.giveUp = () => {};
        socket.close();
        resolve(error);
      };
      const leave = () => end(new MigctlError('left', ''));
      const watch = () => {
        const { liveness } = this;
        const verdict = liveness.decide(now());
        if (verdict === 'leave') return end(new MigctlError(liveness.reason, 'nothing: it is tried again'));
        if (verdict === 'rejoin' && now() >= due) {
          if (socket.readyState === WebSocket.CONNECTING) opening.timedOut();
          return end(new MigctlError('no answer in time', 'nothing: it is tried again'));
        }
        if (verdict === 'ask') {
          liveness.ask(now());
          this.ask(send);
        }
        const at = liveness.up ? liveness.nextAt : due;
        forget = later(watch, Math.min(Math.max(at - now(), 0), 60) + 0.001);
      };
      /** @param {() => void} act */
      const guarded = (act) => {
        try {
          act();
        } catch (error) {
          const ours = error instanceof MigctlError;
          end(ours ? error : new MigctlError(`not understood: ${error}`, 'nothing: it is tried again'));
        }
      };
      this.giveUp = end;
      signal.addEventListener('abort', leave);
      /** Another time counts from now on. */
      const watchAnew = () => {
        forget();
        watch();
      };
      socket.onopen = () =>
        guarded(() => {
          this._openedAt = now();
          opening.answered(this._openedAt - began);
          due = this._openedAt + JOIN_S;
          this.opened(send);
          watchAnew();
        });
      socket.onmessage = ({ data }) =>
        guarded(() => {
          const { up } = this.liveness;
          this.received(data, send);
          if (this.liveness.up !== up) watchAnew();
        });
      socket.onclose = ({ code, reason }) => end(this.closed(code, reason));
      watch();
    });
  }
}
