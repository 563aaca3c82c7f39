// The status of serve on the page. What it does not know is "none".
import { at, byTest, every, figure, list, mark, write } from "/dashboard/dom.js";
import { ago, bytes, clock, count, lasting, ms, percent, rate } from "/dashboard/format.js";

const first = (selector) => document.querySelector(selector);

export function show(status, now = Date.now()) {
  document.body.classList.remove("away");
  write(at("target"), status.target ?? "no target");
  write(at("mode"), `mode ${status.mode}, migctl ${status.version}`);
  const problems = status.health.problems;
  const well = status.health.status === "ok";
  mark(at("health-dot"), "state", well ? "ok" : "degraded");
  const line = well ? "healthy" : `degraded: ${sentence(problems[0])}`;
  write(at("health"), line, line);
  list(at("problems"), well ? ["none"] : problems.map((one) => [sentence(one) + (one.since ? `, for ${ago(one.since, now)}` : ""), one.do]));
  for (const name of ["websocket", "realtime"]) transport(name, status, now);
  match(status.witness?.window, status);
  table(status);
  facts(status, now);
}

/** Nobody answers: what is carried by serve is down, and no figure is made up. since: null where that is not known. */
export function away(reason, since) {
  const lasts = since == null ? "" : `for ${ago(since)}: `;
  mark(at("health-dot"), "state", "down");
  write(at("health"), `serve does not answer: ${reason}`, reason);
  document.body.classList.add("away"); // what still stands there is of before
  for (const name of ["websocket", "realtime"]) {
    write(byTest(`state-${name}`), "down");
    mark(first(`[data-dot="${name}"]`), "state", "down");
    write(first(`[data-since="${name}"]`), `${lasts}serve does not answer`);
    figure(`rate-${name}`, "none", "events/s");
    write(first(`[data-classes="${name}"]`), "", "");
    for (const p of ["p50", "p95", "p99"]) write(first(`[data-p="${name}-${p}"]`), "none");
  }
  figure("backlog", "none", "events wait");
}

function sentence(problem) {
  return `${problem.part}: ${problem.state}${problem.reason ? `: ${problem.reason}` : ""}`;
}

function transport(name, status, now) {
  const of = status.indicators[name];
  const card = first(`.transport[data-transport="${name}"]`);
  card.classList.toggle("absent", !of);
  const word = of?.state ?? "down";
  write(byTest(`state-${name}`), word);
  mark(first(`[data-dot="${name}"]`), "state", word);
  const since = of ? `since ${clock(of.since).slice(0, 8)} UTC, for ${ago(of.since, now)}${of.reason ? `: ${of.reason}` : ""}` : `mode ${status.mode} does not have it`;
  write(first(`[data-since="${name}"]`), since, since);
  const heard = fresh(status, now) ? status.witness.live[name] : undefined;
  figure(`rate-${name}`, rate(heard?.rate_per_s), "events/s", "known", "event/s");
  const classes = heard ? ["high", "medium", "low"].map((one) => `${one} ${rate(heard.rate_by_class[one] ?? 0)}`).join(" · ") : "the witness does not say";
  write(first(`[data-classes="${name}"]`), classes, classes);
  for (const p of ["p50", "p95", "p99"]) write(first(`[data-p="${name}-${p}"]`), ms(heard?.latency[`${p}_ms`]));
}

/** A witness that is gone says nothing of now. */
export function fresh(status, now = Date.now()) {
  const of = status.witness;
  return Boolean(of && of.state !== "stopped" && now - Date.parse(of.at) < 15000);
}

function match(window, status) {
  figure("match-percent", percent(window?.match_percent), "% of events equal on both", "compared yet", "% of events equal on both");
  if (!window) {
    write(at("window-fault"), status.mode === "dual" ? "the first window closes within two minutes" : "both transports are compared in mode dual alone");
    return;
  }
  write(at("window"), `minute ${window.started_at.slice(11, 16)}`, window.id);
  const fault = window.fault ?? (window.verdict === "pass" ? "seen whole, nothing is wrong" : window.verdict);
  write(at("window-fault"), fault, fault);
  write(at("w-expected"), count(window.expected));
  write(at("w-lost"), count(window.lost));
  write(at("w-mismatched"), count(window.mismatched));
  write(at("w-availability"), window.availability_percent == null ? "none" : `${percent(window.availability_percent)} %`);
  const of = window.transports;
  for (const name of ["websocket", "realtime"]) write(at(`w-missing-${name}`), count(of[name]?.missing));
  const sum = (key) => Object.values(of).reduce((all, one) => all + one[key], 0);
  write(at("w-duplicates"), count(sum("duplicates")));
  write(at("w-disordered"), count(sum("out_of_order")));
}

/** When no event is taken any more. */
function fillsUp(journal) {
  if (journal.full) return "full";
  if (journal.full_in_hours == null) return "never";
  return lasting(journal.full_in_hours * 3600);
}

function table(status) {
  const of = status.relay;
  figure("backlog", count(of?.backlog), "events wait", "in this mode", "event waits");
  write(at("relay-state"), of?.state ?? `mode ${status.mode} has none`);
  write(at("relay-reason"), of?.reason ?? (of ? "every event becomes a row or a tombstone" : ""), of?.reason ?? "");
  write(at("r-oldest"), of ? lasting(of.oldest_waits_s ?? 0) : "none");
  write(at("r-dead"), count(status.dead_letters?.waiting));
  write(at("r-journal"), count(status.journal.head));
  write(at("r-table"), count(of?.table_head));
  write(at("r-size"), bytes(status.journal.size_bytes));
  write(at("r-full-of"), status.journal.full_first === "disk" ? "disk full in" : "full in");
  write(at("r-full"), fillsUp(status.journal));
  for (const part of ["table", "broadcast"]) {
    const breaker = status.breakers[part];
    write(at(`b-${part}`), breaker ? breaker.state.replace("_", "-") : "none", breaker?.reason ?? "");
  }
}

function facts(status, now) {
  const source = status.source;
  const outages = source?.outages;
  const lost = [`${count(status.http.rejected + (source?.rejected ?? 0))} rejected`];
  if (source) lost.push(`${source.kind} ${source.state}`);
  if (source?.rejected_waiting) lost.push(`${count(source.rejected_waiting)} wait: migctl rejected list`);
  if (source?.without_time) lost.push(`${count(source.without_time)} without a time`);
  if (source?.unmapped_messages) lost.push(`${count(source.unmapped_messages)} without some of their fields`);
  if (outages) lost.push(`${count(outages.count)} outages, ${lasting(outages.total_s)}${outages.lasting ? `, away for ${ago(outages.lasting.from, now)}` : ""}`);
  write(at("before"), lost.join(" · "));
  const of = status.fallback;
  const fallen = !of ? "none" : of.active ? `since ${ago(of.since, now)}: ${of.reason}` : `not active · ${count(of.times)} times since the start`;
  write(at("fallback"), fallen, fallen);
  const gateway = status.transports.websocket;
  write(at("subscribers"), gateway ? `${count(gateway.subscribers)} on the WebSocket · ${count(gateway.standby)} standby · ${count(gateway.catching_up)} catching up` : "none");
  const witness = status.witness;
  const alert = witness?.alert ? ` · alert: ${witness.alert.reason}` : "";
  const watching = !witness ? "none" : fresh(status, now) ? `${witness.state} · ${count(witness.windows)} ${witness.windows === 1 ? "window" : "windows"} · ${count(witness.kept)} kept${alert}` : `silent for ${ago(witness.at, now)}`;
  write(at("witness"), watching, watching);
}

export function drilled(found) {
  const last = found?.drills?.at(-1);
  write(at("drill"), last ? `${last.drill}: ${last.verdict}, ${ago(last.finished_at)} ago` : "none was run in this state folder");
}

export function notice(text) {
  const line = at("notice");
  line.hidden = !text;
  write(line, text ?? "");
}

export const figures = () => every("[data-testid]");
