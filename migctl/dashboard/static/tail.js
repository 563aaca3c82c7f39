// The newest events as serve streams them, and one event's story. An open page is no subscriber, so it is in nobody's count.
import { ask, stream } from "/dashboard/api.js";
import { at, write } from "/dashboard/dom.js";
import { clock, count } from "/dashboard/format.js";
import { Ring } from "/dashboard/rings.js";

const KEPT = 2000;
const ROWS = 100;
const AGAIN = 1000;
const STORY_EVERY = 1000;
const kept = new Ring(KEPT);
let position = null;
let held = false;
let dirty = false;
let picked = null;
let passed = 0;
let going = null;
let trouble = "";
let soon = null;
let finished = true;

export function begin() {
  const body = document.querySelector("#events tbody");
  for (let row = 0; row < ROWS; row += 1) body.append(made());
  at("search").addEventListener("input", () => {
    later();
    clearTimeout(soon);
    soon = setTimeout(anew, 400);
  });
  at("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && at("search").value.trim()) void pick({ id: at("search").value.trim() });
  });
  at("hold").addEventListener("click", () => {
    held = !held;
    at("hold").setAttribute("aria-pressed", String(held));
    write(at("hold"), held ? "Go on" : "Hold");
    if (held) going?.abort();
    else anew();
    later();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) going?.abort();
    else anew();
  });
  void follow();
  setInterval(() => {
    if (picked && !document.hidden && !finished) void story();
  }, STORY_EVERY);
}

/** Another search is another stream, from its beginning: what was passed over before may match. */
export function anew() {
  going?.abort();
}

async function follow() {
  for (;;) {
    if (held || document.hidden) {
      await new Promise((go) => setTimeout(go, 200));
      continue;
    }
    going = new AbortController();
    const wanted = at("search").value.trim();
    const from = !wanted && position ? `&epoch=${encodeURIComponent(position.epoch)}&after=${position.seq}` : "";
    try {
      await stream(`/api/tail?match=${encodeURIComponent(wanted)}${from}`, going.signal, (line) => take(line, wanted));
      trouble = "";
    } catch (error) {
      if (going.signal.aborted) continue;
      trouble = error.status === 403 || error.status === 401 ? "events need a token with purpose subscribe" : `events can't be read: ${error.message}`;
      later();
    }
    await new Promise((go) => setTimeout(go, AGAIN));
  }
}

let searched = null;

function take(line, wanted) {
  trouble = "";
  if (searched !== wanted) {
    if (wanted || searched) kept.clear();
    searched = wanted;
    passed = 0;
  }
  passed += line.passed_over;
  for (const event of line.events) {
    event.epoch = line.epoch;
    kept.push(event);
  }
  if (!wanted) position = { epoch: line.epoch, seq: line.head };
  later();
}

function made() {
  const row = document.createElement("tr");
  row.hidden = true;
  const seq = document.createElement("td");
  const button = document.createElement("button");
  button.type = "button";
  seq.append(button);
  row.append(seq, ...["", "", ""].map(() => document.createElement("td")));
  row.addEventListener("click", () => void pick(row.event));
  return row;
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
    if (!wanted || `${event.seq} ${event.id} ${event.source_id ?? ""} ${event.type} ${event.source} ${event.text}`.toLowerCase().includes(wanted)) shown.push(event);
  }
  const found = document.querySelector("#events tbody").rows;
  for (let row = 0; row < ROWS; row += 1) fill(found[row], shown[row]);
  const of = wanted
    ? `${count(shown.length)}${shown.length === ROWS ? " or more" : ""} match, of the newest; Enter finds an id, also an old one`
    : kept.length ? `the last ${count(Math.min(kept.length, ROWS))} of ${count(kept.length)} kept here` : "no event yet";
  write(at("tail-state"), trouble || `${of}${passed ? `; ${count(passed)} passed over` : ""}${held ? "; held" : ""}`);
}

function fill(row, event) {
  row.hidden = !event;
  if (!event || row.event === event) {
    if (event) row.classList.toggle("picked", isPicked(event));
    return;
  }
  row.event = event;
  row.classList.toggle("picked", isPicked(event));
  const [seq, committed, type, data] = row.cells;
  write(seq.firstChild, event.seq);
  write(committed, clock(event.committed_at));
  write(type, event.type, event.type);
  write(data, event.text.slice(0, 200));
}

/** By the producer's own id, with the one that was made of it. */
const named = (of) => of.source_id ? `${of.source_id} (${of.id})` : of.id ?? "none";

const isPicked = (event) => picked !== null && picked.id === event.id && (picked.seq === undefined || picked.seq === event.seq);

async function pick(event) {
  picked = event;
  finished = false;
  at("story-none").hidden = true;
  lines([["Event", named(event)], ["Fate", "asking"]]);
  write(at("story-data"), event.text ?? "");
  await story();
  later();
}

const NAMES = { producer: "Happened", journal: "Accepted", websocket: "WebSocket", realtime: "Realtime", table: "Table", "dead letter": "Dead letter" };
const WORDS = { done: "", waiting: "not yet: ", failed: "", unknown: "" };

/** What serve knows of the event that was picked; asked again until nothing more is awaited. */
async function story() {
  const of = picked;
  try {
    const where = of.epoch ? `epoch=${encodeURIComponent(of.epoch)}&seq=${of.seq}` : `id=${encodeURIComponent(of.id)}`;
    const found = await ask(`/api/story?${where}`);
    if (of !== picked) return;
    finished = found.steps.every((step) => step.state !== "waiting");
    const told = found.steps.map((step) => [NAMES[step.part], `${WORDS[step.state]}${step.at ? `${clock(step.at)} · ` : ""}${step.reason}`, step.state]);
    const name = named(found);
    lines([
      ["Event", `${found.event_type ? `${found.event_type} · ` : ""}${name}`],
      ["Position", found.seq == null ? "none" : `${found.epoch}/${found.seq}`],
      ["Fate", `${found.fate}: ${found.reason}`, found.fate === "delivered" ? "done" : found.fate === "under way" ? "waiting" : "failed"],
      ...told,
    ]);
    if (found.data != null) write(at("story-data"), pretty(found.data));
    at("story-data").hidden = !at("story-data").textContent;
  } catch (error) {
    if (of !== picked) return;
    finished = error.status >= 400 && error.status < 500;
    lines([["Event", named(of)], ["Fate", error.message, "failed"]]);
  }
}

/** As it came where it is no whole JSON, or has numbers that would not come back alike. */
function pretty(text) {
  if (text.length > 20000 || /\d{16}|[eE]\d|\.\d*0[,}\]\s]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function lines(of) {
  const box = at("story-list");
  const key = JSON.stringify(of);
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  box.replaceChildren(...of.map(([name, text, state]) => {
    const line = document.createElement("div");
    const term = document.createElement("dt");
    const what = document.createElement("dd");
    term.textContent = name;
    what.textContent = text;
    if (state === "failed") what.className = "verdict-fail";
    if (state === "waiting") what.className = "verdict-inconclusive";
    line.append(term, what);
    return line;
  }));
}
