// The rollout: where it stands, and moving it. A move is shown first, and needs a reason; going down waits for none.
import { ask } from "/dashboard/api.js";
import { at, figure, list, rows, write } from "/dashboard/dom.js";
import { ago, count } from "/dashboard/format.js";

const TITLES = {
  set: "Set the share", pause: "Pause: the walk stops, shares stay", resume: "Resume: go on from here", promote: "Promote: begin the next step",
  abort: "Abort: everybody back to the WebSocket",
};
/** Of each move: why it means nothing now; null where it may be asked for. */
const IDLE = {
  set: () => null,
  pause: (phase) => (phase === "paused" || phase === "aborted" || phase === "done" ? `it is ${phase}` : phase ? null : "no rollout has begun"),
  resume: (phase) => (phase === "paused" || phase === "aborted" ? null : phase ? `it is ${phase}: there is nothing to resume` : "no rollout has begun"),
  promote: (phase) => (phase === "aborted" || phase === "done" ? `it is ${phase}` : phase ? null : "no rollout has begun"),
  abort: () => null,
};
/** Judged before the soak is whole. */
const SO_FAR = { terminated: "holds" };
let current = null;
let action = null;
let proposal = null;

export function show(found) {
  current = found;
  figure("rollout-percent", found.percent == null ? "none" : String(found.percent), "% on Realtime", found.away ? "known" : "begun", "% on Realtime");
  at("ro-bar").firstElementChild.style.width = `${Math.min(100, found.percent ?? 0)}%`;
  write(at("ro-stage"), found.stage ? `${found.stage}${found.title && found.title !== found.stage ? ` · ${found.title}` : ""}` : found.away ? "not known: the record is away" : "before the first stage");
  offer(found);
  const state = found.state;
  const by = state.paused_by ? ` by ${state.paused_by === "person" ? "a person" : state.paused_by}` : "";
  const segments = Object.entries(found.effective?.segments ?? {}).map(([name, share]) => `${name} ${share} %`).join(", ");
  const walker = found.walker ? `walked by ${found.walker.holder}` : "nobody walks it";
  const awaits = state.awaits ? `waits for ${state.awaits}` : "";
  const line = [state.phase ? `${state.phase}${by}${state.reason ? `: ${state.reason}` : ""}` : found.away ? "the record does not say where it stands" : "no rollout has begun", found.away ? "" : awaits, segments, found.away ? "" : walker].filter(Boolean).join(" · ");
  write(at("ro-state"), line, line);
  const evidence = found.evidence;
  const wanting = [...found.problems];
  if (evidence) {
    wanting.push(`evidence ${SO_FAR[evidence.verdict] ?? evidence.verdict}: ${count(evidence.seen)} of ${count(evidence.needed)} minutes${evidence.age_s == null ? "" : `, the newest ${Math.round(evidence.age_s)} s old`}`);
    const gates = found.gates.map((gate) => gate.name);
    wanting.push(...evidence.wanting.filter((one) => !gates.some((name) => one.startsWith(name)) && !wanting.includes(one)));
  }
  const missing = new Set(found.gates.map((gate) => gate.missing).filter(Boolean));
  if (missing.size) wanting.push(`missing: ${[...missing].join("; ")}`);
  const failed = found.gates.filter((gate) => gate.verdict === "fail" && !gate.dry_run).map((gate) => gate.name);
  list(at("ro-wanting"), wanting.slice(0, 8).map((line) => [line, null, verdictOf(line, failed)]));
  rows(document.querySelector("#gates tbody"), found.gates.map((gate) => [
    gate.dry_run ? `${gate.name} (dry run)` : gate.name, String(gate.bound), gate.value == null ? "none" : String(Math.round(gate.value * 1000) / 1000),
    count(gate.samples), [SO_FAR[gate.verdict] ?? gate.verdict, `verdict-${gate.verdict}`],
  ]));
}

/** A move that means nothing now can't be pressed; where nobody knows how it stands, all can. */
function offer(of) {
  for (const button of at("ro-actions").children) {
    const why = of && !of.away ? IDLE[button.dataset.action](of.state.phase) : null;
    button.disabled = why != null;
    button.title = why ?? "";
  }
}

/** What a line is coloured by. failed: the gates that failed. */
function verdictOf(line, failed) {
  if (line.startsWith("evidence pass")) return "verdict-pass";
  return line.startsWith("evidence fail") || failed.some((name) => line.includes(name)) ? "verdict-fail" : "";
}

export function lacking(reason) {
  current = null;
  offer(null);
  write(at("ro-state"), reason, reason);
}

export function begin(changed) {
  for (const button of at("ro-actions").children) button.addEventListener("click", () => open(button.dataset.action));
  at("ask-no").addEventListener("click", () => at("ask").close());
  at("ask-percent").addEventListener("input", () => again());
  at("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void go(changed);
  });
}

function open(name) {
  action = name;
  at("ask-title").textContent = TITLES[name];
  at("ask-what").textContent = current ? `On ${current.target}, now at ${current.percent ?? "no"} %, ${current.stage ?? (current.away ? "the record is away" : "before the first stage")}.` : "Where it stands is not known.";
  at("ask-percent-line").hidden = name !== "set";
  at("ask-percent").value = current?.percent ?? "";
  at("ask-reason").value = "";
  again();
  at("ask").showModal();
  (name === "set" ? at("ask-percent") : at("ask-reason")).focus();
}

function again(anew = true) {
  proposal = null;
  at("ask-shown").textContent = "";
  if (anew) at("ask-error").textContent = "";
  write(at("ask-yes"), "Show what it would do");
  at("ask-yes").classList.remove("danger");
}

async function go(changed) {
  const wish = { action, reason: at("ask-reason").value.trim() };
  if (action === "set") {
    if (at("ask-percent").value === "") {
      at("ask-error").textContent = "Give a percentage.";
      return;
    }
    wish.percent = Number(at("ask-percent").value);
  }
  at("ask-error").textContent = "";
  at("ask-yes").disabled = true;
  try {
    if (!proposal) {
      proposal = await ask("/api/rollout", { method: "POST", body: { ...wish, dry_run: true }, within: 30000 });
      at("ask-shown").textContent = words(proposal);
      write(at("ask-yes"), `Yes, ${action}`);
      at("ask-yes").classList.toggle("danger", action === "abort");
      at("ask-yes").disabled = false;
      at("ask-yes").focus();
      return;
    }
    if (proposal.direction !== "down" && !wish.reason) throw new Error(proposal.direction === "up" ? "Give a reason: users get Realtime by this." : "Give a reason: it is in the history.");
    const shown = { percent: proposal.percent.after, stage: proposal.stage.after };
    const done = await ask("/api/rollout", { method: "POST", body: { ...wish, dry_run: false, lift: proposal.brakes.map((brake) => brake.id), shown }, within: 30000 });
    if (done.wrong) throw new Error(`${done.wrong.what}\n${done.wrong.do}`);
    at("ask").close();
    changed();
  } catch (error) {
    const way = error.status === 401 || error.status === 403 ? "Sign in with a token of purpose admin." : error.document?.do;
    at("ask-error").textContent = [error.message, way].filter(Boolean).join("\n");
    if (error.status === 409) again(false);  // what was shown is no longer what would be done
  } finally {
    at("ask-yes").disabled = false;
  }
}

function words(of) {
  const lines = [`${of.command} on ${of.target}`];
  if (of.percent.after != null) lines.push(`${of.split}: ${of.percent.before ?? "?"} % to ${of.percent.after} % on Realtime`);
  if (of.stage.after && of.stage.after !== of.stage.before) lines.push(`stage: ${of.stage.before ?? "none"} to ${of.stage.after}`);
  if (of.direction === "up") {
    lines.push(`gates: ${of.gates?.verdict ?? "the evidence can't be read"}`);
    for (const gate of of.gates?.gates ?? []) lines.push(`  ${gate.name}: ${gate.verdict}, ${gate.value == null ? "none" : Math.round(gate.value * 1000) / 1000}, bound ${gate.bound}`);
    for (const brake of of.brakes) lines.push(`it ends the brake of ${brake.by}: at most ${brake.max_percent} %, ${brake.reason || "no reason"}, ${ago(brake.at)} ago`);
  }
  return lines.join("\n");
}
