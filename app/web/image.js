/* Loading of images into elements, with retries. */

import { request } from "./api.js";
import { showError } from "./notice.js";

const ATTEMPTS = 3;
const shown = new WeakMap(); // element → path of the image that it shows
const requested = new WeakMap(); // element that is loading → path that it shall show in the end

/** Loads an image; one call at a time per element. Throws RequestError. */
async function load(img, path) {
  if (shown.get(img) === path) return;
  shown.delete(img);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      img.src = path;
      await img.decode();
      shown.set(img, path);
      return;
    } catch {
      img.removeAttribute("src"); // an empty frame looks better than a broken image
      // An image does not say why it failed; a request does, and retries if useful.
      await request(path);
    }
  }
}

/** Loads an image; of concurrent calls, the last wins. Errors become a notice. */
export async function showImage(img, path) {
  const loading = requested.has(img);
  requested.set(img, path);
  if (loading) return;
  try {
    let latest;
    do {
      latest = requested.get(img);
      await load(img, latest);
    } while (requested.get(img) !== latest);
  } catch (error) {
    showError(error);
  } finally {
    requested.delete(img);
  }
}

/** Empties an element unless it shows this path or is loading. */
export function clearStaleImage(img, path) {
  if (requested.has(img) || shown.get(img) === path) return;
  shown.delete(img);
  img.removeAttribute("src");
}

/** Loads the first sheet `path(side)` that the server allows. Returns its side. */
export async function loadSheet(img, sides, path) {
  for (const side of sides) {
    try {
      await load(img, path(side));
      return side;
    } catch (error) {
      if (error.status !== 422 || side === sides.at(-1)) throw error;
    }
  }
}

/** Decodes a PNG file in base64 to a bitmap. */
export function decodePng(png) {
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}
