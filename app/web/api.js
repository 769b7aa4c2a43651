/* Requests to the server, with retries while it is busy or unavailable. */

import { attempt } from "./attempt.js";
import { keyCount, untilKey } from "./key_form.js";
import {
  RequestError,
  serverAvailable,
  serverUnavailable,
  showError,
  untilRetry,
} from "./notice.js";

const MAX_DELAY = 15; // seconds between two attempts
const UNREACHABLE = "Can't reach the server.";

/**
 * The successful response with all of its body, after retries if needed. Throws RequestError, or
 * AbortError. `onPart` is that of `attempt`.
 */
export async function request(path, options = {}, onPart = undefined) {
  for (let attempts = 0; ; attempts += 1) {
    await untilRetry();
    options.signal?.throwIfAborted();
    const keys = keyCount();
    const response = await attempt(path, options, onPart);
    if (response?.ok) {
      serverAvailable();
      return response;
    }
    if (response?.status === 401) {
      // The request may be older than the key.
      if (keys === keyCount()) await untilKey();
      continue;
    }
    const { message, seconds } = await explain(response);
    serverUnavailable(message, Math.min(seconds || 2 ** attempts, MAX_DELAY));
  }
}

/** The JSON of a response. */
export const requestJson = async (path) => (await request(path)).json();

/** The message and delay of a failure that a retry may fix. Throws RequestError for others. */
async function explain(response) {
  if (!response) return { message: UNREACHABLE };
  const problem = await response.json().catch(() => ({}));
  if ([429, 503].includes(response.status)) {
    const seconds = Number(response.headers.get("Retry-After"));
    if (seconds) return { message: "The server is busy.", seconds };
    return { message: `The server is not ready: ${problem.detail ?? "no reason given"}.` };
  }
  // From a proxy whose server does not respond.
  if ([502, 504].includes(response.status)) return { message: UNREACHABLE };
  const message = problem.detail ?? `The server returned status ${response.status}.`;
  throw new RequestError(message, response.status);
}

/**
 * Limits `work` to one run at a time. Calls during a run cause one more run after it.
 * `element` is marked as busy (`aria-busy`) until all of it has ended, in whatever way.
 */
export function coalesce(work, element = null) {
  let running = false;
  let pending = false;
  const setRunning = (value) => {
    running = value;
    if (element) element.ariaBusy = String(value);
  };
  return async function run() {
    pending = true;
    if (running) return;
    setRunning(true);
    try {
      while (pending) {
        pending = false;
        await work().catch(showError);
      }
    } finally {
      setRunning(false);
    }
  };
}

/** The options of `fetch` for a request with a body in JSON. */
export const jsonOptions = (body, accept) => ({
  method: "POST",
  headers: { "Content-Type": "application/json", Accept: accept },
  body: JSON.stringify(body),
});

/** A path with those parameters that have a value. */
export function pathOf(route, parameters) {
  const isGiven = ([, value]) => value !== "" && value !== undefined;
  const given = Object.entries(parameters).filter(isGiven);
  return given.length ? `${route}?${given.map((pair) => pair.join("=")).join("&")}` : route;
}
