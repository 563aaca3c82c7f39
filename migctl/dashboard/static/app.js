// The dashboard: asks serve once a second, and shows what it says in the next frame.
import { ask, keep, token } from "/dashboard/api.js";
import { at, write } from "/dashboard/dom.js";
import * as plots from "/dashboard/plots.js";
import * as rollout from "/dashboard/rollout.js";
import * as tail from "/dashboard/tail.js";
import * as theme from "/dashboard/theme.js";
import * as view from "/dashboard/view.js";

const EVERY = 1000;
const ROLLOUT_EVERY = 3000;
const ASSIGNED_EVERY = 30000;
let begun = false;
let soon = null;

async function round() {
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
    void tail.follow(status);
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      view.away("it asks for a token");
      signIn(error.message);
    } else {
      view.away(error.name === "TimeoutError" ? "no answer within 5 s" : "it can't be reached");
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

async function askAssigned() {
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
    await new Promise((go) => setTimeout(go, document.hidden ? EVERY : every));
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
});
at("sign-out").addEventListener("click", () => {
  keep(null);
  at("sign").close();
});
let own = localStorage.getItem("migctl.user");
if (!own) {
  own = `dashboard-${crypto.getRandomValues(new Uint32Array(1))[0].toString(16)}`;
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
