/* Saves a morph as an animation, which the server makes. */

import { jsonOptions, request } from "./api.js";
import { $ } from "./dom.js";
import { bodyOf, haveSameAttributes } from "./draw.js";
import { imageSize, versionOf } from "./models.js";
import { showError } from "./notice.js";
import { textOf } from "./recipe.js";
import { download, fileScale } from "./save.js";

const MAX_PIXELS = 2 ** 24; // of a file, all frames together
const MAX_FRAMES = 256; // of a file
const ENDINGS = { gif: "gif", webp: "webp", apng: "png" };

/** Frames of each segment: those that the page shows, if so many are allowed. */
const stepsOf = (stops, frames) => Math.min(frames, Math.floor(MAX_FRAMES / stops.length)) + 1;

/** Whether the pictures are those of their seeds, without anything else. */
const areSeeds = (stops) => stops.every((stop) => textOf(stop) === String(stop.seed));

/** Whether the server can make a file: only seeds bring attributes of their own. */
export const canExport = (stops) => areSeeds(stops) || haveSameAttributes(stops);

/** The stops of the path, in the notation of the API. */
function stopsBody(stops) {
  if (areSeeds(stops)) return { points: stops.map(({ seed }) => seed) };
  const { latents: points, ...conditions } = bodyOf(stops);
  return { points, ...conditions };
}

/** The request for a file with so many frames a second and a segment, as large as is allowed. */
function exportRequest(stops, format, frames) {
  const { height, width } = imageSize();
  const steps = stepsOf(stops, frames);
  const pixels = stops.length * (steps - 1) * width * height;
  const scale = Math.max(1, Math.min(fileScale(), Math.floor(Math.sqrt(MAX_PIXELS / pixels))));
  const [{ model, version }] = stops;
  const method = versionOf(stops[0]).card.latent.prior === "normal" ? "slerp" : "lerp";
  const path = { ...stopsBody(stops), steps, method, loop: true, fps: steps - 1 };
  return jsonOptions({ model, version, ...path, scale, format }, "*/*");
}

/** Saves the morph through these keyframes, with a bar of progress. */
export async function exportMorph(stops, format, frames) {
  const bar = $("morph-progress");
  bar.hidden = false;
  bar.removeAttribute("value"); // until the first byte arrives nobody knows
  try {
    const response = await request("interpolate", exportRequest(stops, format, frames));
    const file = await received(response, bar);
    const [{ model, version }] = stops;
    download(file, `${model}-${version}-morph.${ENDINGS[format]}`);
  } catch (error) {
    showError(error);
  } finally {
    bar.hidden = true;
  }
}

/** The body of a response; the bar shows how much of it has arrived. */
async function received(response, bar) {
  const total = Number(response.headers.get("Content-Length"));
  const parts = [];
  let size = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    size += part.value.length;
    if (total) bar.value = size / total;
  }
  return new Blob(parts, { type: response.headers.get("Content-Type") });
}
