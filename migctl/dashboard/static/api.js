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

/** The JSON of an answer. Raises Refused with what it says, and TypeError where nobody answers. */
export async function ask(path, { method = "GET", body, within = 5000 } = {}) {
  const headers = { Accept: "application/json", "Migctl-Client": "dashboard" };
  const text = token();
  if (text) headers.Authorization = `Bearer ${text}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, {
    method, headers, cache: "no-store", signal: AbortSignal.timeout(within),
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  let found = null;
  try {
    found = await answer.json();
  } catch {
    found = null;
  }
  if (answer.ok) return found;
  const errors = found?.errors?.map((one) => one.reason).join("\n");
  const refused = new Refused(answer.status, errors || found?.refused || found?.error || answer.statusText || `status ${answer.status}`);
  refused.document = found;
  throw refused;
}
