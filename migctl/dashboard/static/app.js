// The dashboard: asks serve again and again, and shows what it says in the next frame.
import { ask, keep, token } from "/dashboard/api.js";
import { at, write } from "/dashboard/dom.js";
import * as plots from "/dashboard/plots.js";
import * as rollout from "/dashboard/rollout.js";
import * as tail from "/dashboard/tail.js";
import * as theme from "/dashboard/theme.js";
import * as view from "/dashboard/view.js";

// A transport that fails is on the page within two seconds: serve knows it after 1.5 s at the latest.
const EVERY = 300;
const ASLEEP_EVERY = 1000;
const ROLLOUT_EVERY = 3000;
const ASSIGNED_EVERY = 30000;
const ASSIGNED_AT_MOST_EVERY = 1000; // where what it depends on changes all the time
let begun = false;
let soon = null;
let awaySince = null;
let assignedBy = null;
let assignedAt = -Infinity;

async function round() {
  const by = token();
  try {
    const status = await ask("/api/status");
    if (!begun) {
      begun = true;
      void plots.begin(status.dashboard);
    }
    const live = view.fresh(status) ? status.witness.live : null;
    requestAnimationFrame(() => {
      view.show(status);
      plots.sample(Date.now(), live);
    });
    view.notice(status.dashboard);
    followAssigned(status);
    awaySince = null;
  } catch (error) {
    if (by !== token()) return; // somebody signed in or out meanwhile: the next answer counts
    if (error.status === 401 || error.status === 403) {
      view.away("it asks for a token", null);
      signIn(error.message);
    } else {
      awaySince ??= Date.now();
      view.away(error.name === "TimeoutError" ? "no answer within 5 s" : "it can't be reached", awaySince);
    }
  }
}

async function askRollout() {
  try {
    const found = await ask("/api/rollout");
    requestAnimationFrame(() => rollout.show(found));
  } catch (error) {
    rollout.lacking(error.status === 404 ? "this mode has no rollout" : error.message);
  }
  try {
    view.drilled(await ask("/api/drills"));
  } catch {
    view.drilled(null);
  }
}

/** Where somebody is sent changes with the share, with a transport and with a breaker: it is asked for anew. */
function followAssigned({ indicators, breakers, fallback, flags }) {
  const words = [indicators, breakers].map((of) => Object.values(of).map((one) => one?.state));
  const by = JSON.stringify([words, fallback?.active, flags?.n, flags?.effective, flags?.override]);
  if (by === assignedBy || performance.now() - assignedAt < ASSIGNED_AT_MOST_EVERY) return;
  const isFirst = assignedBy === null;
  assignedBy = by;
  if (!isFirst) void askAssigned();
}

async function askAssigned() {
  assignedAt = performance.now();
  const user = at("user").value.trim();
  if (!user) return;
  try {
    const found = await ask(`/api/transport?user=${encodeURIComponent(user)}`);
    const why = found.reason ? `, ${found.reason}` : "";
    const meanwhile = found.transport !== found.assigned && found.assigned ? ` · now on ${found.transport}` : "";
    write(at("assigned"), `${found.assigned ?? found.transport}${why}${meanwhile}`);
  } catch (error) {
    write(at("assigned"), error.message);
  }
}

/** One after another: a slow answer is waited for, and never asked twice. */
async function loop(work, every) {
  for (;;) {
    if (!document.hidden) await work();
    await new Promise((go) => setTimeout(go, document.hidden ? ASLEEP_EVERY : every));
  }
}

function signIn(reason) {
  write(at("sign-error"), token() ? reason : "");
  if (!at("sign").open) at("sign").showModal();
}

at("sign-in").addEventListener("click", () => signIn(""));
at("sign-form").addEventListener("submit", () => {
  keep(at("token").value.trim());
  at("token").value = "";
  void round();
  void askRollout();
  void askAssigned();
  tail.anew();
});
at("sign-out").addEventListener("click", () => {
  keep(null);
  at("sign").close();
});
let own = localStorage.getItem("migctl.user");
if (!own) {
  own = `page-${crypto.getRandomValues(new Uint32Array(1))[0].toString(16).padStart(8, "0").slice(0, 6)}`;
  localStorage.setItem("migctl.user", own);
}
at("user").value = own;
at("user").addEventListener("input", () => {
  clearTimeout(soon);
  soon = setTimeout(askAssigned, 400);
});
theme.begin(plots.draw);
tail.begin();
rollout.begin(() => void askRollout());
void loop(round, EVERY);
void loop(askRollout, ROLLOUT_EVERY);
void loop(askAssigned, ASSIGNED_EVERY);
