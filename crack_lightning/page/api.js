// @ts-check
// What the server is asked, and what it reports.

const kept = new URLSearchParams(location.hash.slice(1)).get("token");
if (kept) {
  sessionStorage.setItem("token", kept);
  history.replaceState(null, "", location.pathname); // so that it is not copied with the address
}
const token = sessionStorage.getItem("token");

/** Names this window, so that it need not hear of what it did itself. */
export const windowName = crypto.getRandomValues(new Uint32Array(2)).join("-");

/** @param {string} path @param {Record<string, any>} [facts] */
export const address = (path, facts = {}) => {
  const query = new URLSearchParams({ ...facts, ...(token ? { token } : {}) });
  return `/api/${path}${[...query].length ? `?${query}` : ""}`;
};

/** @param {Response} response */
async function answered(response) {
  if (response.ok) return response.json();
  const text = await response.text();
  let message = text;
  try {
    message = JSON.parse(text).error;
  } catch { /* words of the guard are no JSON */ }
  throw new Error(message || `the server answered ${response.status}`);
}

/** @param {string} path @param {RequestInit & {query?: Record<string, any>}} options */
async function ask(path, options) {
  let response;
  try {
    response = await fetch(address(path, options.query), options);
  } catch {
    const lost = options.method ? "; what you just did was not taken, do it again then" : "";
    throw new Error(`the server does not answer: start it again, the page goes on by itself${lost}`);
  }
  return answered(response);
}

/** @param {string} path @param {Record<string, any>} [query] */
export const get = (path, query) => ask(path, { query });

/** @param {string} path @param {any} [facts] */
export const post = (path, facts = {}) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(facts) });

/** @param {File} file */
export const upload = (file) =>
  ask("uploads", { method: "PUT", query: { name: file.name }, headers: { "content-type": "application/octet-stream" }, body: file });

/** @typedef {Record<string, (facts?: any) => void>} Handlers */

/** @param {Handlers} handlers */
export function listen(handlers) {
  if (!globalThis.SharedWorker) return listenAlone(handlers);
  const { port } = new SharedWorker("assets/news.js", { name: address("news") });
  port.onmessage = ({ data: { kind, facts } }) => handlers[kind]?.(facts);
  port.postMessage(Object.keys(handlers));
  addEventListener("pagehide", () => port.postMessage("closed"));
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}

/**
 * Where windows cannot share a stream (Chrome for Android) each has its own, and none while it is hidden.
 * @param {Handlers} handlers
 */
function listenAlone(handlers) {
  /** @type {EventSource | undefined} */
  let source;
  const follow = () => {
    source?.close();
    if (document.hidden) return;
    source = new EventSource(address("news"));
    for (const [kind, handle] of Object.entries(handlers)) {
      source.addEventListener(kind, (event) => handle(JSON.parse(/** @type {MessageEvent} */ (event).data)));
    }
    source.onerror = () => handlers.lost?.();
  };
  document.addEventListener("visibilitychange", follow);
  follow();
}
