/* Blends of four pictures: a pad, every place of which is a picture on the stage. */

import { coalesce } from "./api.js";
import { blend } from "./derive.js";
import { $ } from "./dom.js";
import { drawAll, erase } from "./draw.js";
import { pinsOrExamples } from "./examples.js";
import { imageSize } from "./models.js";
import { description } from "./names.js";
import { ARROWS, bindPointer } from "./places.js";
import { keyOf } from "./recipe.js";
import { change, state } from "./state.js";

const SIDE = 6; // pictures per side of the pad's background
const STEP = 0.05; // of the arrow keys
const pad = $("blend-pad");
const canvas = $("blend-sheet");
let shown = ""; // what the background is for

const corners = () => pinsOrExamples(4, 4);

const key = () => corners().map(keyOf).join();

const drawBackground = coalesce(async () => {
  const wanted = key();
  if (state.tool !== "blend" || shown === wanted) return;
  const places = Array.from({ length: SIDE * SIDE }, (_, k) => [
    (k % SIDE) / (SIDE - 1),
    Math.floor(k / SIDE) / (SIDE - 1),
  ]);
  const recipes = places.map((place) => blend(corners(), place));
  const bitmaps = await drawAll(recipes).catch((error) => {
    erase(canvas); // of other corners
    shown = "";
    throw error;
  });
  const { width, height } = imageSize(recipes[0]);
  Object.assign(canvas, { width: SIDE * width, height: SIDE * height });
  const context = canvas.getContext("2d");
  bitmaps.forEach((bitmap, k) => {
    context.drawImage(bitmap, (k % SIDE) * width, Math.floor(k / SIDE) * height);
    bitmap.close();
  });
  shown = wanted;
}, $("blend"));

export function render(settled) {
  if (state.tool !== "blend") return;
  showPlace();
  if (!settled) return;
  pad.ariaLabel = `Blend of the pictures ${corners().map(description).join("; ")}`;
  drawBackground();
}

function showPlace() {
  const [x, y] = state.pad;
  pad.style.setProperty("--x", x);
  pad.style.setProperty("--y", y);
  pad.ariaValueNow = Math.round(100 * x);
  pad.ariaValueText = `${Math.round(100 * x)}% to the right, ${Math.round(100 * y)}% down`;
}

function moveTo(wanted, settled) {
  const place = wanted.map((one) => Number(Math.min(Math.max(one, 0), 1).toFixed(3)));
  change({ pad: place, stage: blend(corners(), place) }, { step: false, settled });
}

bindPointer(pad, moveTo);
pad.addEventListener("keydown", (event) => {
  const step = ARROWS[event.key];
  if (!step) return;
  event.preventDefault();
  moveTo(state.pad.map((one, axis) => one + STEP * step[axis]), true);
});
