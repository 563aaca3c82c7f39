// Asks serve. The token stays in this tab's sessionStorage, and goes into a header, never into an address.
const KEY = "migctl.token";

export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

export const token = () => sessionStorage.getItem(KEY);

export function keep(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
}

/** Browsers have words of their own for it, which say less. @param {Error} error */
function nobody(error) {
  throw Object.assign(new Error("serve does not answer"), { name: error.name });
}

/** Each line of an answer that goes on, as JSON. Returns where it ends; raises Refused, and TypeError where nobody answers. */
export async function stream(path, signal, take) {
  const headers = { Accept: "application/x-ndjson", "Migctl-Client": "dashboard" };
  const text = token();
  if (text) headers.Authorization = `Bearer ${text}`;
  const answer = await fetch(path, { headers, cache: "no-store", signal }).catch(nobody);
  if (!answer.ok) throw new Refused(answer.status, (await answer.json().catch(() => null))?.errors?.[0]?.reason ?? answer.statusText);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n");
    rest = whole.pop();
    for (const line of whole) if (line) take(JSON.parse(line));
  }
}

/** The JSON of an answer. Raises Refused with what it says, and TypeError where nobody answers. */
export async function ask(path, { method = "GET", body, within = 5000 } = {}) {
  const headers = { Accept: "application/json", "Migctl-Client": "dashboard" };
  const text = token();
  if (text) headers.Authorization = `Bearer ${text}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, {
    method, headers, cache: "no-store", signal: AbortSignal.timeout(within),
    body: body === undefined ? undefined : JSON.stringify(body),
  }).catch(nobody);
  let found = null;
  try {
    found = await answer.json();
  } catch {
    found = null;
  }
  if (answer.ok) return found;
  const errors = found?.errors?.map((one) => one.reason).join("\n");
  const refused = new Refused(answer.status, errors || found?.what || found?.refused || answer.statusText || `status ${answer.status}`);
  refused.document = found;
  throw refused;
}
