// Questions to the server of this page. Whatever goes wrong is an ApiError with a word: `error.WORD` of the shell's words.

export class ApiError extends Error {
  constructor(code, text = "", more = {}) {
    super(text || code);
    Object.assign(this, { code, text, more });
  }
}

const LIMIT_MS = 30000;
const CHANGE_MS = 70000; // beyond the longest of pageverbs.py, so that the box says itself what went wrong
let csrf = "";

export function setCsrf(token) {
  csrf = token;
}

async function request(path, options, limitMs) {
  let answer;
  try {
    answer = await fetch(path, { ...options, signal: AbortSignal.timeout(limitMs), credentials: "same-origin" });
  } catch {
    throw new ApiError("no_page");
  }
  let found;
  try {
    found = await answer.json();
  } catch {
    throw new ApiError("no_page");
  }
  if (!answer.ok) throw new ApiError(found.error ?? "no_page", found.text ?? "", found);
  return found;
}

export function get(path, limitMs = LIMIT_MS) {
  return request(path, {}, limitMs);
}

export function post(path, body = {}, limitMs = LIMIT_MS) {
  const headers = { "content-type": "application/json", "x-kerbstone-csrf": csrf };
  return request(path, { method: "POST", headers, body: JSON.stringify(body) }, limitMs);
}

// A verb of the daemon that only says something; `words` are its arguments
export function ask(verb, words = {}) {
  const query = new URLSearchParams(words).toString();
  return get(`/api/ask/${verb}${query ? `?${query}` : ""}`);
}

// A verb of the daemon that changes something; the daemon may take a minute for it
export function change(verb, words = {}) {
  return post(`/api/change/${verb}`, words, CHANGE_MS);
}
