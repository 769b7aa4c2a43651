/* Images: drawn when the server can, in whole pixels. */

import { ask } from "./api.js";
import { report } from "./notice.js";

/** Shows an image; the last call for an element wins. Throws Refusal where there is none. */
export async function load(img, path) {
  if (img.dataset.path === path) return;
  img.dataset.path = path;
  try {
    img.src = path;
    await img.decode();
  } catch {
    // An image does not say why it failed: a request does, and waits where that helps.
    if (img.dataset.path === path) await again(img, path);
  }
}

async function again(img, path) {
  try {
    await ask(path);
    if (img.dataset.path !== path) return;
    img.src = path;
    await img.decode();
  } catch (error) {
    if (img.dataset.path !== path) return;
    delete img.dataset.path;
    // Decoding fails, too, where the element left the document meanwhile.
    if (error.name === "Refusal") throw error;
  }
}

/** The same for those who do nothing about a refusal. */
export const draw = (img, path) => load(img, path).catch(report);

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

/** How wide to show `pixels` in at most so much room: whole screen pixels for each. */
export const crisp = (pixels, most) => pixels * Math.max(1, Math.floor(most / pixels));
