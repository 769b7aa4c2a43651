/* Copies text, and says so. */

import { make } from "./dom.js";

const SHOWN_MS = 2000;

/** Copies a text to the clipboard; for a while the label of `button` is then `done`. */
export async function copy(text, button, done) {
  await write(text);
  button.dataset.label ??= button.textContent; // a second click finds the first one's `done`
  button.textContent = done;
  setTimeout(() => {
    button.textContent = button.dataset.label;
  }, SHOWN_MS);
}

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS, browsers offer only this deprecated way, which needs the focus for a moment.
    const focused = document.activeElement;
    const field = make("textarea", { value: text });
    const place = document.querySelector("dialog[open]") ?? document.body;
    place.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    focused.focus();
  }
}
