// Calls to this service: the key, problems as typed errors, Retry-After. It knows nothing of the page.

const KEY = "edit-rrm-key";

/** An error of the API (docs/api.md), or `unreachable`. `retryAfterS` is null where trying again is no use. */
export class Problem extends Error {
  constructor(code, title, detail, status, retryAfterS = null) {
    super(detail);
    Object.assign(this, { code, title, detail, status, retryAfterS });
  }

  get wantsKey() {
    return this.code === "missing_key" || this.code === "bad_key";
  }
}

export function key() {
  return sessionStorage.getItem(KEY);
}

export function keepKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** The address of a path of this service, wherever it is mounted. */
export function address(path) {
  return new URL(path, document.baseURI).href;
}

/** The response of a call, if it is a 2xx. Throws Problem; AbortError when `signal` aborts. */
export async function call(path, { body = null, signal = null } = {}) {
  const headers = key() ? { Authorization: `Bearer ${key()}` } : {};
  let response;
  try {
    response = await fetch(address(path), { method: body ? "POST" : "GET", body, headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable", "The service does not answer", "it may have ended", 0);
  }
  if (response.ok) return response;
  throw await problemOf(response);
}

async function problemOf(response) {
  const waitS = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const retryAfterS = Number.isNaN(waitS) ? null : waitS;
  try {
    const { code, title, detail } = await response.json();
    if (code) return new Problem(code, title, detail, response.status, retryAfterS);
  } catch {
    // Not the service's own answer: something between it and this page spoke.
  }
  return new Problem("unexpected", `HTTP ${response.status}`, response.statusText, response.status, retryAfterS);
}

/** A multipart body: the request, and the files of the images it names. */
export function multipart(request, files) {
  const form = new FormData();
  form.append("request", JSON.stringify(request));
  for (const [part, file] of files) form.append(part, file);
  return form;
}
