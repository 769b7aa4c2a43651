/* Saves a picture as a file. */

import { fileOf } from "./draw.js";
import { make } from "./dom.js";
import { imageSize } from "./models.js";
import { fileName } from "./names.js";
import { showError } from "./notice.js";

const SIZE = 512; // pixels of the longer side, about
const MAX_SCALE = 8; // the limit of the server

/** The factor by which saved pictures are enlarged. */
export function fileScale() {
  const { width, height } = imageSize();
  return Math.min(Math.floor(SIZE / Math.max(width, height)) || 1, MAX_SCALE);
}

/** Saves the picture of a recipe as a PNG file. */
export async function save(recipe) {
  try {
    download(await fileOf(recipe, fileScale()), `${fileName(recipe)}.png`);
  } catch (error) {
    showError(error);
  }
}

/** Hands a file to the browser's downloads. */
export function download(file, name) {
  const link = make("a", { href: URL.createObjectURL(file), download: name });
  link.click();
  // The browser needs the URL until it has started to save.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
