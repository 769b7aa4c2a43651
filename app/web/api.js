/* Requests to the server, with retries while it is busy or unavailable. */

import { serverAvailable, serverUnavailable, showError, untilRetry } from "./notice.js";
import { splitPicture } from "./picture.js";
import { attributesText, editText, view } from "./view.js";

const MAX_DELAY = 15; // seconds between two attempts
const UNREACHABLE = "Can't reach the server.";
let keyPrompt = null; // the promise of the prompt in progress
let keysEntered = 0;

/** An error that a retry does not fix. */
export class RequestError extends Error {
  name = "RequestError";

  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The successful response, after retries if needed. Throws RequestError. */
export async function request(path, options = {}) {
  for (let attempt = 0; ; attempt += 1) {
    await untilRetry();
    const keysBefore = keysEntered;
    const response = await fetch(path, options).catch(() => null);
    if (response?.ok) {
      serverAvailable();
      return response;
    }
    if (response?.status === 401) {
      // The request may be older than the key.
      if (keysBefore === keysEntered) await (keyPrompt ??= promptForKey());
      continue;
    }
    const { message, seconds } = await explain(response);
    serverUnavailable(message, Math.min(seconds || 2 ** attempt, MAX_DELAY));
  }
}

/** The JSON of a response. */
export async function requestJson(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  return (await request(path, { ...options, headers })).json();
}

/** Exchanges an API key for a cookie, which browsers send for images, too. */
async function promptForKey() {
  const key = prompt("This server needs an API key.");
  // The promise stays rejected: the page does not prompt again.
  if (!key) throw new RequestError("No key, so no pictures. Reload the page to enter one.", 401);
  const headers = { Authorization: `Bearer ${key}` };
  await fetch("access", { method: "POST", headers }).catch(() => null);
  keyPrompt = null;
  keysEntered += 1;
}

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

/** Limits `work` to one run at a time. Calls during a run cause one more run. */
export function coalesce(work) {
  let running = false;
  let pending = false;
  return async function run() {
    pending = true;
    if (running) return;
    running = true;
    try {
      while (pending) {
        pending = false;
        await work().catch(showError);
      }
    } finally {
      running = false;
    }
  };
}

/** The path of one picture. */
export function imagePath(picture, scale = "") {
  const { seed, ofClass } = splitPicture(picture);
  const parameters = { ...imageOptions(), class: ofClass, scale };
  return path(`images/${view.model}/${view.version}/${seed}.png`, parameters);
}

/** The path of another resource of the model version, such as a sheet. */
export function resourcePath(route, parameters) {
  const { model, version } = view;
  return path(route, { model, version, ...imageOptions(), ...parameters });
}

const imageOptions = () => ({
  edit: editText(),
  attributes: attributesText(),
  truncation: view.truncation === 1 ? "" : view.truncation,
});

function path(route, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "");
  return given.length ? `${route}?${given.map((pair) => pair.join("=")).join("&")}` : route;
}
