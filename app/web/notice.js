/* What people are told of a server that is away, and how long everybody waits for it. */

import { $ } from "./dom.js";

let rest = null;
let dismissed = { words: "", at: 0 };
let missed = false; // whether what is shown is that the server is away

/** Ends when the server may be asked again: at once, unless it is known to be away. */
export const rested = () => rest ?? Promise.resolve();

/** Says why the server is away, and lets everybody wait for so many seconds. */
export function away(words, seconds) {
  missed = true;
  // Whoever fails meanwhile joins the wait that there is.
  rest ??= wait(words, seconds).then(() => {
    rest = null;
  });
}

/** The server answers: no need to say any more that it is away. */
export function back() {
  if (!missed || rest) return;
  missed = false;
  show("");
}

/** Says something that waiting does not mend; not again right after it was dismissed. */
export function tell(words) {
  missed = false;
  // Many images may be refused for one reason, the last of them after somebody has read it.
  if (words === dismissed.words && performance.now() - dismissed.at < 10_000) return;
  show(words, "Dismiss", () => {
    dismissed = { words, at: performance.now() };
    show("");
  });
}

/** Tells of a request that was refused; any other error is a fault of the page. */
export function report(error) {
  if (error.name === "AbortError") return;
  if (error.name !== "Refusal") throw error;
  tell(error.message);
}

function wait(words, seconds) {
  return new Promise((resolve) => {
    let left = Math.ceil(seconds);
    const tick = () => {
      $("notice-wait").textContent = left > 0 ? `Trying again in ${left} s.` : "Trying again …";
      left -= 1;
    };
    const end = () => {
      clearInterval(timer);
      tick();
      resolve();
    };
    show(words, "Try now", end);
    tick();
    const timer = setInterval(() => (left > 0 ? tick() : end()), 1000);
  });
}

function show(words, label = "", action = null) {
  // The same words again would be read aloud again.
  if ($("notice-words").textContent !== words) $("notice-words").textContent = words;
  $("notice-wait").textContent = "";
  $("notice-button").textContent = label;
  $("notice-button").onclick = action;
  $("notice").classList.toggle("shown", Boolean(words));
}
