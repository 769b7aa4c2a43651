/* The notice at the bottom of the page, and the wait before a retry, shared by all requests. */

import { $ } from "./dom.js";

let retry = null; // the promise of the wait in progress
let dismissed = { message: "", at: 0 };
let unavailable = false; // whether the notice says that the server is unavailable

/** An error that a retry does not fix. */
export class RequestError extends Error {
  name = "RequestError";

  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Resolves when requests may be sent: at once unless a wait is in progress. */
export const untilRetry = () => retry ?? Promise.resolve();

/** Says why the server is unavailable, and pauses all requests for so many seconds. */
export function serverUnavailable(message, seconds) {
  // A request that fails meanwhile joins the wait in progress.
  retry ??= wait(message, seconds).then(() => {
    retry = null;
  });
}

/** Hides the notice that the server is unavailable. */
export function serverAvailable() {
  if (!unavailable || retry) return;
  show("");
}

/** Shows a message until it is dismissed. */
export function showMessage(message) {
  // Many pictures may fail for one reason, some after the message was dismissed.
  const isOld = message === dismissed.message && performance.now() - dismissed.at < 10_000;
  if (isOld) return serverAvailable();
  show(message, "Dismiss", () => {
    dismissed = { message, at: performance.now() };
    show("");
  });
}

/** Shows a RequestError, unless a key is missing: the form says so. Rethrows bugs of the page. */
export function showError(error) {
  if (error.name === "AbortError") return;
  if (error.name !== "RequestError") throw error;
  if (error.status !== 401) showMessage(error.message);
}

function wait(message, seconds) {
  return new Promise((resolve) => {
    let left = Math.ceil(seconds);
    const tick = () => {
      if (!unavailable) return; // another message has taken the place of this one
      $("notice-wait").textContent = left > 0 ? `Retrying in ${left} s…` : "Retrying…";
      left -= 1;
    };
    const end = () => {
      clearInterval(timer);
      tick();
      resolve();
    };
    show(message, "Try now", end);
    unavailable = true;
    document.body.classList.add("busy");
    tick();
    const timer = setInterval(() => (left > 0 ? tick() : end()), 1000);
  });
}

/** Shows a message with a button, or nothing, in place of what was there. */
export function show(message, label = "", action = null) {
  unavailable = false;
  document.body.classList.remove("busy");
  // Screen readers would repeat a text that is set again.
  if ($("notice-message").textContent !== message) $("notice-message").textContent = message;
  $("notice-wait").textContent = "";
  $("notice-button").textContent = label;
  $("notice-button").onclick = action;
  $("notice").classList.toggle("shown", Boolean(message));
}
