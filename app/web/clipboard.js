/* Copies text. */

import { make } from "./dom.js";

/** Copies a text to the clipboard. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS, browsers offer only this deprecated way.
    const field = make("textarea", { value: text });
    const place = document.querySelector("dialog[open]") ?? document.body;
    place.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}
