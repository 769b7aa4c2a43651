/* The form for the API key. The server exchanges a key for a cookie, which scripts cannot read. */

import { attempt } from "./attempt.js";
import { $, on } from "./dom.js";
import { RequestError, show, showError } from "./notice.js";
import { notify } from "./state.js";

const WRONG = "This key is wrong.";
const UNCHECKED = "The server could not check the key. Try again.";
let waiting = null; // { promise, resolve, reject } while the form is open
let focused = null; // what had the focus before the form
let isCancelled = false;
let keys = 0; // accepted so far

/** The number of keys that the server has accepted since the page was opened. */
export const keyCount = () => keys;

/** Resolves when the server has accepted a key. Throws RequestError if the form is cancelled. */
export async function untilKey() {
  if (isCancelled) {
    offer(); // another message may have taken its place
    throw missing();
  }
  if (!waiting) open();
  return waiting.promise;
}

const missing = () => new RequestError("No key", 401);

function open() {
  waiting = makeWaiting();
  focused = document.activeElement;
  show("");
  $("key").hidden = false;
  $("key-field").focus();
}

function makeWaiting() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

/** Why the server does not accept a key; "" if it does. */
async function problemWith(key) {
  let headers;
  try {
    headers = new Headers({ Authorization: `Bearer ${key}` });
  } catch {
    return WRONG; // no header may have such letters
  }
  const response = await attempt("access", { method: "POST", headers });
  if (response?.ok) return "";
  return response?.status === 401 ? WRONG : UNCHECKED;
}

async function submit(event) {
  event.preventDefault();
  const asked = waiting;
  const key = $("key-field").value;
  const problem = await problemWith(key);
  if (waiting !== asked) return; // cancelled, or accepted by the answer to an earlier click
  showProblem(problem);
  if (problem) return $("key-field").value === key && $("key-field").select();
  keys += 1;
  close().resolve();
}

function showProblem(problem) {
  $("key-error").textContent = problem;
  $("key-field").ariaInvalid = String(Boolean(problem));
}

function close() {
  const closed = waiting;
  waiting = null;
  $("key").hidden = true;
  $("key-field").value = "";
  showProblem("");
  focused.focus();
  return closed;
}

function cancel() {
  isCancelled = true;
  close().reject(missing());
  offer();
}

/** Offers the form again. What ended for want of a key begins again with one. */
function offer() {
  show("No key, so no pictures yet.", "Enter key", () => {
    isCancelled = false;
    untilKey().then(() => notify(true), showError);
  });
}

on("key", "submit", submit);
on("key-cancel", "click", cancel);
