/* Images: drawn when the server can, in whole pixels. */

import { ask } from "./api.js";
import { report } from "./notice.js";

const ATTEMPTS = 3;
const shown = new WeakMap(); // images, and the paths that they show
const wanted = new WeakMap(); // images that are being drawn, and the paths that they shall show

/** Shows an image in an element, one at a time. Throws Refusal where there is none. */
export async function load(img, path) {
  if (shown.get(img) === path) return;
  shown.delete(img);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      img.src = path;
      await img.decode();
      shown.set(img, path);
      return;
    } catch {
      img.removeAttribute("src"); // an empty frame is calmer than a broken image
      // An image does not say why it failed: a request does, and waits where that helps.
      await ask(path);
    }
  }
}

/** The same for who cannot mend a refusal: the last path of several is shown. */
export async function draw(img, path) {
  const busy = wanted.has(img);
  wanted.set(img, path);
  if (busy) return;
  try {
    let latest;
    do {
      latest = wanted.get(img);
      await load(img, latest);
    } while (wanted.get(img) !== latest);
  } catch (error) {
    report(error);
  } finally {
    wanted.delete(img);
  }
}

/** Empties an element that shows another image. */
export function clear(img, path) {
  if (wanted.has(img) || shown.get(img) === path) return;
  shown.delete(img);
  img.removeAttribute("src");
}

/** Shows the first of `paths` that the server does not find too large; answers which. */
export async function loadFirst(img, paths) {
  for (const [k, path] of paths.entries()) {
    try {
      await load(img, path);
      return k;
    } catch (error) {
      if (error.status !== 422 || k === paths.length - 1) throw error;
    }
  }
}

/** A PNG file in base64, decoded to be drawn at once. */
export function bitmap(png) {
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}
