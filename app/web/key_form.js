/* The form for the API key. The server exchanges a key for a cookie, which scripts cannot read. */

import { $, on } from "./dom.js";
import { RequestError, show } from "./notice.js";
import { notify } from "./state.js";

let waiting = null; // { promise, resolve, reject } while the form is open
let isCancelled = false;
let keys = 0; // accepted so far

/** The number of keys that the server has accepted since the page was opened. */
export const keyCount = () => keys;

/** Resolves when the server has accepted a key. Throws RequestError if the form is cancelled. */
export async function untilKey() {
  if (isCancelled) throw missing();
  if (!waiting) open();
  return waiting.promise;
}

const missing = () => new RequestError("No key", 401);

function open() {
  waiting = makeWaiting();
  show("");
  $("key").hidden = false;
  $("key-field").focus();
}

function makeWaiting() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

/** Whether the server accepts a key. */
async function isAccepted(key) {
  try {
    const headers = { Authorization: `Bearer ${key}` };
    return (await fetch("access", { method: "POST", headers })).ok;
  } catch {
    return false; // also for letters that no header may have
  }
}

async function submit(event) {
  event.preventDefault();
  const accepted = await isAccepted($("key-field").value);
  $("key-error").textContent = accepted ? "" : "This key is wrong.";
  $("key-field").ariaInvalid = String(!accepted);
  if (!accepted) return $("key-field").select();
  keys += 1;
  close().resolve();
}

function close() {
  const closed = waiting;
  waiting = null;
  $("key").hidden = true;
  $("key-field").value = "";
  return closed;
}

function cancel() {
  isCancelled = true;
  close().reject(missing());
  show("No key, so no pictures yet.", "Enter key", () => {
    isCancelled = false;
    notify(true);
  });
}

on("key", "submit", submit);
on("key-cancel", "click", cancel);
