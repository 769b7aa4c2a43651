/* Saves a morph as an animation, which the server makes. */

import { jsonOptions, request } from "./api.js";
import { pointOf } from "./derive.js";
import { $, make } from "./dom.js";
import { imageSize } from "./models.js";
import { showError } from "./notice.js";
import { download, fileScale } from "./save.js";

const MAX_PIXELS = 2 ** 24; // of a file, all frames together
const ENDINGS = { gif: "gif", webp: "webp", apng: "png" };

/** The inputs of the network for a frame: its latent, and its classes or attributes. */
function inputsOf(recipe) {
  const { latent, condition } = pointOf(recipe);
  return [...latent, ...condition].map((number) => Number(number.toFixed(4)));
}

/** The request for a file of these frames, as large as is allowed. */
function exportRequest(frames, format, fps) {
  const { height, width } = imageSize();
  const pixels = frames.length * width * height;
  const scale = Math.max(1, Math.min(fileScale(), Math.floor(Math.sqrt(MAX_PIXELS / pixels))));
  const [{ model, version }] = frames;
  return jsonOptions({ model, version, frames: frames.map(inputsOf), format, fps, scale }, "*/*");
}

/** Saves the morph with these frames, which are recipes, and shows the progress. */
export async function exportMorph(frames, format, fps) {
  const bar = make("progress", { ariaLabel: "Progress of the file" });
  $("morph-files").append(bar);
  try {
    const options = exportRequest(frames, format, fps);
    const response = await request("web/morph", options, (size, total) => {
      if (total) bar.value = size / total;
    });
    const [{ model, version }] = frames;
    download(await response.blob(), `${model}-${version}-morph.${ENDINGS[format]}`);
  } catch (error) {
    showError(error);
  } finally {
    bar.remove();
  }
}
