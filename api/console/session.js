// Who is signed in, and every request to the service. The token lives in this tab alone.

const KEY = "tidegate.token";
let person = null;
const listeners = new Set();

/** What the service answered when it was no success. */
export class ProblemError extends Error {
  constructor(status, body) {
    super(body?.detail || `the service answered ${status}`);
    this.status = status;
    this.word = (body?.type || "").split(":").pop();
  }
}

export const token = () => sessionStorage.getItem(KEY);
export const me = () => person;
export const may = (role) => Boolean(person?.roles.includes(role));
export const onPerson = (listener) => listeners.add(listener);

/** Take a token that came in the address (a local stack prints such a link), and take it out of the address again. */
export function takeTokenFromAddress() {
  const found = /[#&]token=([\w-]+)/.exec(location.hash);
  if (!found) return;
  sessionStorage.setItem(KEY, found[1]);
  history.replaceState(null, "", location.pathname + location.hash.replace(/[#&]token=[\w-]+/, (all) => (all[0] === "#" ? "#/" : "")));
}

/** Sign in with a token; resolves to the person, rejects with a ProblemError. */
export async function signIn(given) {
  sessionStorage.setItem(KEY, given);
  try {
    person = await ask("/v1/me");
  } catch (error) {
    sessionStorage.removeItem(KEY);
    person = null;
    throw error;
  } finally {
    for (const listener of listeners) listener(person);
  }
  return person;
}

export function signOut() {
  sessionStorage.removeItem(KEY);
  person = null;
  for (const listener of listeners) listener(null);
}

/** Ask the service and return its JSON. */
export async function ask(path, { body, signal, headers } = {}) {
  const sent = { Authorization: `Bearer ${token() || ""}`, Accept: "application/json", ...headers };
  const options = { headers: sent, signal, cache: "no-cache" };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    sent["Content-Type"] = "application/json";
  }
  const answer = await fetch(path, options);
  const found = await answer.json().catch(() => null);
  if (!answer.ok) throw new ProblemError(answer.status, found);
  return found;
}
