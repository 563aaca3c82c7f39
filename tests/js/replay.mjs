// Replays tests/vectors/NAME.ndjson on the cores in JavaScript: `node replay.mjs FOLDER_OF_CLIENT FOLDER_OF_VECTORS NAME`. Says the first
// call that differs, and ends with 1; else how many calls were the same. With `each` as a fourth word:
// each life that differs, and from which call on.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [client, vectors, name, each] = process.argv.slice(2);
const core = (file) => import(pathToFileURL(`${client}/core/${file}.js`));
const { Discontinuity, Release, Skip } = await core('items');
const { Merge } = await core('merge');
const { Attachment } = await core('attachment');
const { Memory, Round } = await core('catchup');
const { Liveness } = await core('liveness');
const { rules } = await import('./rules.mjs');

const HEAD_KEYS = ['epoch', 'prev_epoch', 'lost_from', 'lost_to', 'started_at', 'table_tail', 'table_head', 'journal_head'];
const position = (words) => words && { epoch: words[0], seq: words[1] };
const item = ([epoch, seq, via, bytes]) =>
  via ? new Release({ id: `${epoch}-${seq}`, epoch, seq, via, bytes, eventType: 't', data: {} }) : new Skip(epoch, seq);
const head = (words) => Object.fromEntries(HEAD_KEYS.map((key, at) => [key, words[at]]));
const observed = ([up, since, heardAt, silenceS = 12.5, carries = true]) => ({ up, since, heardAt, silenceS, carries });
const reach = ([top, known, owes]) => ({ top: position(top), known, owes });
const stand = ([top, missing, heard]) => ({ top: position(top), missing, heard });

function plain(value) {
  if (value === Infinity || value === -Infinity) return String(value);
  if (value instanceof Release) return [value.epoch, value.seq, value.via, value.bytes];
  if (value instanceof Skip) return [value.epoch, value.seq];
  if (value instanceof Discontinuity) return [plain(value.after), plain(value.resumed), value.reason, value.lostFrom, value.lostTo];
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') return [value.epoch, value.seq];
  return value ?? null;
}

const STEPS = {
  hear: ({ heads }) => ['Hear', heads],
  last: ({ epoch, after }) => ['AskLast', epoch, after],
  tombstones: ({ epoch, after }) => ['ReadTombstones', epoch, after],
  rows: ({ epoch, after, upto }) => ['ReadRows', epoch, after, upto],
  take: ({ items }) => ['Take', plain(items)],
  lose: ({ to, reason }) => ['Lose', to, reason],
  goOn: ({ position, lost, reason }) => ['GoOn', plain(position), lost, reason],
};

const MACHINES = {
  merge: {
    make: (o) => new Merge({ maxBufferBytes: o.max_buffer_bytes, maxGap: o.max_gap }),
    calls: {
      start: (m, [at, now]) => m.start(position(at), now),
      offer: (m, [one, now]) => m.offer(item(one), now),
      offer_all: (m, [items, now]) => m.offerAll(items.map(item), now),
      hear: (m, words) => m.hear(...words),
      name: (m, words) => m.name(...words),
      fits: (m, [one]) => m.fits(item(one)),
      lose: (m, words) => m.lose(...words),
      next_epoch: (m, [at, now, lost, reason]) => m.nextEpoch(position(at), now, { lost, reason }),
      forget: (m, [epoch]) => m.forget(epoch),
      take: (m, [limit]) => m.take(limit),
    },
    state: (m) => [
      ...[m.position, m.top, m.bytes, m.heard, m.behind].map(plain), m.missing(), m.repairAt(),
      ...[m.repeatsDropped, m.gapsRepaired, m.buffersDropped, m.putOff],
    ],
  },
  attachment: {
    make: (o) => new Attachment(o.assigned, { goneS: o.gone_s, holdS: o.hold_s }),
    calls: {
      assign: (m, [to]) => m.assign(to),
      redirect: (m, words) => m.redirect(...words),
      set_to_realtime: (m, [value]) => void (m.toRealtime = value),
      decide: (m, [now, { websocket, realtime }, far]) => {
        const wanted = m.decide(now, { websocket: observed(websocket), realtime: observed(realtime) }, reach(far));
        return [wanted.transports.sort(), wanted.until];
      },
    },
    state: (m) => [m.assigned, m.moving, m.fallen, m.falls, m.canFallBack],
  },
  liveness: {
    make: (o) => new Liveness(o.now, o.silence_s),
    calls: Object.fromEntries(
      ['start', 'join', 'hear', 'ask', 'answer', 'excuse', 'lose', 'decide'].map((name) => [name, (m, words) => m[name](...words)]),
    ),
    state: (m) => [m.up, m.since, m.heardAt, plain(m.nextAt), m.reason.split(' for ')[0]],
  },
  catchup: {
    make: () => ({ memory: new Memory(), round: null }),
    calls: {
      round: (m, [heads, toTheEnd]) => void (m.round = new Round(m.memory, heads.map(head), toTheEnd)),
      next: (m, [at, now]) => {
        const step = m.round.next(stand(at), now);
        return step && STEPS[step.do](step);
      },
      last: (m, [seq]) => m.round.last(seq),
      tombstones: (m, [items]) => m.round.tombstones(items.map(item)),
      rows: (m, [items]) => m.round.rows(items.map(item)),
      ancestors: (m, [epoch]) => m.round.ancestors(epoch),
    },
    state: () => null,
  },
  ...(await rules(core)),
};

const machine = MACHINES[name];
const lives = readFileSync(`${vectors}/${name}.ndjson`, 'utf8').trimEnd().split('\n');

function* replayed(line, life) {
  const [options, calls] = JSON.parse(line);
  const made = machine.make(options);
  for (const [at, [method, words, result, state]] of calls.entries()) {
    const where = `${name}, life ${life + 1}, call ${at + 1}: ${method} ${JSON.stringify(words)}`;
    assert.deepEqual(plain(machine.calls[method](made, words)), result, where);
    assert.deepEqual(plain(machine.state(made)), state, `${where}: the state after it`);
    yield at;
  }
}

let count = 0;
const different = [];
for (const [life, line] of lives.entries()) {
  let at = -1;
  try {
    for (at of replayed(line, life)) count++;
  } catch (error) {
    if (!each) throw error;
    different.push([life, at + 1]);
  }
}
console.log(JSON.stringify(each ? different : count));
