/** Link: one WebSocket, from its opening to its loss, and who comes back to it. The gateway's and Realtime's are both such. */
import { Liveness, boundS } from './core/repair.js';
import { MigctlError, now, pause } from './waiting.js';

const OPEN_S = 10;

/**
 * One socket after another. `run` until its signal ends it.
 * @abstract
 */
export class Link {
  /** @param {{silenceS: number, changed: () => void, log: import('./subscriber.js').Log}} by changed: called after each join and each loss */
  constructor({ silenceS, changed, log }) {
    this.liveness = new Liveness(now(), silenceS);
    this.joins = 0;
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

  /** Words of a close. @param {number} code @param {string} reason */
  closed(code, reason) {
    return new MigctlError(`the socket was closed: ${code} ${reason}`.trim(), 'nothing: it is tried again');
  }

  /** Whether an error is raised, and not waited out. @param {MigctlError} _error */
  ends(_error) {
    return false;
  }

  /** To be called by `received` once nothing more can be missed. */
  join() {
    this.joins++;
    this._failures = 0;
    this.liveness.join(now());
    this._changed();
  }

  /** @param {AbortSignal} signal */
  async run(signal) {
    this.liveness.start(now());
    this._failures = 0;
    while (!signal.aborted) {
      const error = await this._once(signal);
      if (this.liveness.up) {
        this.liveness.lose(now());
        this._changed();
      }
      if (signal.aborted) return;
      if (this.ends(error)) throw error;
      this._failures++;
      if (this._failures === 1) this._log('connection lost', { link: this.constructor.name, reason: error.what });
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
    const socket = new WebSocket(address.url, address.protocols);
    /** @param {string} text */
    const send = (text) => socket.readyState === WebSocket.OPEN && socket.send(text);
    return new Promise((resolve) => {
      const began = now();
      /** @type {ReturnType<typeof setTimeout>} */
      let timer;
      /** @param {MigctlError} error */
      const end = (error) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', leave);
        socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
        socket.onerror = () => {};
        this.giveUp = () => {};
        socket.close();
        resolve(error);
      };
      const leave = () => end(new MigctlError('left', ''));
      const watch = () => {
        const at = this.liveness.up ? this.liveness.silentAt : began + OPEN_S;
        if (now() < at) timer = setTimeout(watch, Math.min(at - now(), 60) * 1000 + 1);
        else end(new MigctlError(this.liveness.up ? `nothing was heard for ${this.liveness.silenceS} s` : 'no answer in time', 'nothing: it is tried again'));
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
      socket.onopen = () => guarded(() => this.opened(send));
      socket.onmessage = ({ data }) => guarded(() => this.received(data, send));
      socket.onclose = ({ code, reason }) => end(this.closed(code, reason));
      watch();
    });
  }
}
