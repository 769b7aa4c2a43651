/* Blends of four pictures: a pad, every place of which is a picture on the stage. */

import { coalesce } from "./api.js";
import { blend } from "./derive.js";
import { $ } from "./dom.js";
import { drawAll } from "./draw.js";
import { pinsOrExamples } from "./examples.js";
import { imageSize } from "./models.js";
import { nameOf } from "./names.js";
import { textOf } from "./recipe.js";
import { change, state } from "./state.js";

const SIDE = 6; // pictures per side of the pad's background
const STEP = 0.05; // of the arrow keys
const pad = $("blend-pad");
const canvas = $("blend-sheet");
let shown = ""; // what the background is for

const corners = () => pinsOrExamples(4, 4);

const key = () => [state.stage.model, state.stage.version, ...corners().map(textOf)].join();

const drawBackground = coalesce(async () => {
  const wanted = key();
  if (state.tool !== "blend" || shown === wanted) return;
  const places = Array.from({ length: SIDE * SIDE }, (_, k) => [
    (k % SIDE) / (SIDE - 1),
    Math.floor(k / SIDE) / (SIDE - 1),
  ]);
  const bitmaps = await drawAll(places.map((place) => blend(corners(), place)));
  const { width, height } = imageSize();
  Object.assign(canvas, { width: SIDE * width, height: SIDE * height });
  const context = canvas.getContext("2d");
  bitmaps.forEach((bitmap, k) => {
    context.drawImage(bitmap, (k % SIDE) * width, Math.floor(k / SIDE) * height);
    bitmap.close();
  });
  shown = wanted;
});

export function render(settled) {
  if (state.tool !== "blend") return;
  showPlace();
  if (!settled) return;
  pad.ariaLabel = `Blend of the pictures ${corners().map(nameOf).join("; ")}`;
  drawBackground();
}

function showPlace() {
  const [x, y] = state.pad;
  pad.style.setProperty("--x", x);
  pad.style.setProperty("--y", y);
  pad.ariaValueNow = Math.round(100 * x);
  pad.ariaValueText = `${Math.round(100 * x)}% to the right, ${Math.round(100 * y)}% down`;
}

function moveTo(x, y, settled) {
  const place = [x, y].map((one) => Number(Math.min(Math.max(one, 0), 1).toFixed(3)));
  change({ pad: place, stage: blend(corners(), place) }, { step: false, settled });
}

function follow({ clientX, clientY }, settled) {
  const { left, top, width, height } = pad.getBoundingClientRect();
  moveTo((clientX - left) / width, (clientY - top) / height, settled);
}

pad.addEventListener("pointerdown", (event) => {
  pad.setPointerCapture(event.pointerId);
  follow(event, false);
});
pad.addEventListener("pointermove", (event) => {
  if (pad.hasPointerCapture(event.pointerId)) follow(event, false);
});
pad.addEventListener("pointerup", (event) => follow(event, true));
pad.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (!steps[event.key]) return;
  event.preventDefault();
  const [x, y] = state.pad.map((one, k) => one + STEP * steps[event.key][k]);
  moveTo(x, y, true);
});
