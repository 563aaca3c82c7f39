// The newest events, read from the journal after a position: an open page is no subscriber, so it is in nobody's count.
import { ask } from "/dashboard/api.js";
import { at, write } from "/dashboard/dom.js";
import { clock, count } from "/dashboard/format.js";
import { Ring } from "/dashboard/rings.js";

const KEPT = 2000;
const ROWS = 100;
const PAGE = 1000;
const kept = new Ring(KEPT);
let position = null;
let held = false;
let dirty = false;
let picked = null;
let status = null;
let skipped = 0;

export function begin() {
  const body = document.querySelector("#events tbody");
  for (let row = 0; row < ROWS; row += 1) body.append(made());
  at("search").addEventListener("input", () => later());
  at("hold").addEventListener("click", () => {
    held = !held;
    at("hold").setAttribute("aria-pressed", String(held));
    write(at("hold"), held ? "Go on" : "Hold");
    later();
  });
}

function made() {
  const row = document.createElement("tr");
  row.hidden = true;
  const seq = document.createElement("td");
  const button = document.createElement("button");
  button.type = "button";
  seq.append(button);
  row.append(seq, ...["", "", ""].map(() => document.createElement("td")));
  row.addEventListener("click", () => pick(row.event));
  return row;
}

/** What is there after the position. of: the status, which says where the journal is. */
export async function follow(of) {
  status = of;
  if (picked) story();
  if (!position || position.epoch !== of.journal.epoch) position = { epoch: of.journal.epoch, seq: Math.max(of.journal.tail - 1, of.journal.head - 50) };
  if (held || of.journal.head <= position.seq) return;
  if (of.journal.head - position.seq > 5 * PAGE) {
    skipped += of.journal.head - PAGE - position.seq;
    position.seq = of.journal.head - PAGE;
  }
  try {
    const { epoch, seq } = position;
    const found = await ask(`/events?epoch=${encodeURIComponent(epoch)}&after=${seq}&limit=${PAGE}`);
    for (const event of found.events) {
      event.epoch = epoch;
      kept.push(event);
      position = { epoch, seq: event.seq };
    }
    later();
  } catch (error) {
    if (error.status === 410) position = null;
    write(at("tail-state"), error.status === 403 || error.status === 401 ? "events need a token with purpose subscribe" : `events can't be read: ${error.message}`);
  }
}

function later() {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(render);
}

function render() {
  dirty = false;
  const wanted = at("search").value.trim().toLowerCase();
  const shown = [];
  for (const event of kept.newest()) {
    if (shown.length === ROWS) break;
    event.text ??= JSON.stringify(event.data);
    if (!wanted || `${event.id} ${event.type} ${event.source ?? ""} ${event.text}`.toLowerCase().includes(wanted)) shown.push(event);
  }
  const found = document.querySelector("#events tbody").rows;
  for (let row = 0; row < ROWS; row += 1) fill(found[row], shown[row]);
  const of = wanted ? `${count(shown.length)}${shown.length === ROWS ? " or more" : ""} match, of the last ${count(kept.length)}` : `the last ${count(Math.min(kept.length, ROWS))} of ${count(kept.length)} kept here`;
  write(at("tail-state"), kept.length ? `${of}${skipped ? `; ${count(skipped)} passed over` : ""}${held ? "; held" : ""}` : "no event yet");
}

function fill(row, event) {
  row.hidden = !event;
  if (!event || row.event === event) {
    if (event) row.classList.toggle("picked", event === picked);
    return;
  }
  row.event = event;
  row.classList.toggle("picked", event === picked);
  const [seq, committed, type, data] = row.cells;
  write(seq.firstChild, event.seq);
  write(committed, clock(event.committed_at));
  write(type, event.type, event.type);
  write(data, event.text.slice(0, 200));
}

function pick(event) {
  picked = event;
  story();
  later();
}

/** Where one event is by now: each seq up to a head is there. */
function story() {
  at("story-none").hidden = true;
  const here = picked.epoch === status.journal.epoch;
  const past = (head, word) => (head == null ? "none in this mode" : !here || head >= picked.seq ? word : "not yet");
  const lines = [
    ["Event", `${picked.type} · ${picked.id}`],
    ["Position", `${picked.epoch}/${picked.seq}`],
    ["Happened", picked.timestamp],
    ["Journal", `durable, ${picked.committed_at}`],
    ["WebSocket", past(status.transports.websocket?.delivered_seq, "handed to every subscriber")],
    ["Realtime", past(status.transports.realtime?.sent_to_seq, "sent as a hint, or left to the table")],
    ["Table", past(status.relay?.table_head, "a row, or a tombstone with its reason")],
  ];
  const box = at("story-list");
  if (box.dataset.key !== JSON.stringify(lines)) {
    box.dataset.key = JSON.stringify(lines);
    box.replaceChildren(...lines.map(([name, text]) => {
      const line = document.createElement("div");
      const term = document.createElement("dt");
      const what = document.createElement("dd");
      term.textContent = name;
      what.textContent = text;
      line.append(term, what);
      return line;
    }));
  }
  const data = at("story-data");
  data.hidden = false;
  write(data, JSON.stringify(picked.data, null, 2));
}
