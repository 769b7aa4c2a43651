/* Morphs from each pinned picture to the next, in a loop, shown on the stage. */

import { coalesce } from "./api.js";
import { between } from "./derive.js";
import { $, on } from "./dom.js";
import { drawAll } from "./draw.js";
import { pinsOrExamples } from "./examples.js";
import { exportMorph } from "./export.js";
import { nameOf } from "./names.js";
import { isSame, keyOf } from "./recipe.js";
import { showOnStage } from "./stage.js";
import { change, state, toStage } from "./state.js";
import { fillThumbnails, makeThumbnail } from "./thumbnails.js";

const FRAMES = 24; // in each segment, and in each second
const MAX_FRAMES = 256; // of a file
const slider = $("morph-slider");
const frames = new Map(); // the key of a segment → its bitmaps
let timer = null; // while the morph plays
let placed = null; // the recipe that it has put on the stage

/** The pictures that the morph goes through. */
const stops = () => pinsOrExamples(state.pins.length < 2 ? 3 : 2);

/** The pictures at the ends of each segment. */
const segments = () => stops().map((stop, k, all) => [stop, all[(k + 1) % all.length]]);

const segmentKey = (ends) => ends.map(keyOf).join();

const frameRecipes = ([start, end], count = FRAMES) =>
  Array.from({ length: count }, (_, k) => between(start, end, k / count));

/** The place in the morph: the number of a segment, and of a frame in it. */
function place() {
  const frame = Math.round(state.at * FRAMES) % (stops().length * FRAMES);
  return [Math.floor(frame / FRAMES), frame % FRAMES];
}

/** The recipe at the place in the morph. */
function recipeAt() {
  const [segment, frame] = place();
  const [start, end] = segments()[segment];
  return between(start, end, frame / FRAMES);
}

/** A segment that has no frames yet, if any: that in sight comes first. */
function missing() {
  if (state.tool !== "morph") return undefined;
  const wanted = segments();
  const [current] = place();
  return [wanted[current], ...wanted].find((ends) => !frames.has(segmentKey(ends)));
}

const fetchFrames = coalesce(async () => {
  const keys = segments().map(segmentKey);
  for (const [key, bitmaps] of frames) {
    if (keys.includes(key)) continue;
    for (const bitmap of bitmaps) bitmap.close();
    frames.delete(key);
  }
  for (let ends = missing(); ends; ends = missing()) {
    frames.set(segmentKey(ends), await drawAll(frameRecipes(ends)));
  }
}, $("morph"));

export function render(settled) {
  if (state.tool !== "morph") return pause();
  // A picture that is chosen while the morph plays stays on the stage.
  if (timer !== null && !isSame(state.stage, placed)) pause();
  const [segment, frame] = place();
  const [start, end] = segments()[segment].map(nameOf);
  slider.max = stops().length;
  slider.value = state.at;
  const part = `${Math.round((100 * frame) / FRAMES)}%`;
  slider.ariaValueText = `${part} of the way from ${start} to ${end}`;
  $("morph-position").textContent = part;
  if (settled) renderStops();
  const ends = [segment, (segment + 1) % stops().length];
  [...$("morph-stops").children].forEach((button, k) => {
    button.classList.toggle("near", ends.includes(k));
  });
}

function renderStops() {
  fillThumbnails($("morph-stops"), stops(), (recipe) =>
    makeThumbnail(recipe, (name) => `Keyframe ${name}`, toStage),
  );
  fetchFrames();
}

/** Shows a place in the morph: its frame, if that is there, or else by a request. */
function moveTo(at, options) {
  state.at = Number(at.toFixed(3));
  const [segment, frame] = place();
  const recipe = recipeAt();
  placed = recipe;
  const bitmap = frames.get(segmentKey(segments()[segment]))?.[frame];
  if (bitmap) showOnStage(bitmap, recipe);
  change({ stage: recipe }, options);
}

function play() {
  $("morph-play").textContent = "Pause";
  placed = state.stage;
  timer = setInterval(() => {
    const [segment] = place();
    // Wait for frames that are not there yet.
    if (!frames.has(segmentKey(segments()[segment]))) return;
    const next = Math.round(state.at * FRAMES) + 1;
    moveTo((next / FRAMES) % stops().length, { settled: false });
  }, 1000 / FRAMES);
}

function pause() {
  if (timer === null) return;
  clearInterval(timer);
  timer = null;
  $("morph-play").textContent = "Play";
}

function toggle() {
  if (timer === null) return play();
  pause();
  moveTo(state.at, { step: false });
}

/** Saves the morph as a file, with fewer frames in each second if there are too many. */
function save({ target }) {
  const count = Math.min(FRAMES, Math.floor(MAX_FRAMES / stops().length));
  const all = segments().flatMap((ends) => frameRecipes(ends, count));
  return exportMorph(all, target.dataset.format, count);
}

for (const button of document.querySelectorAll("#morph [data-format]")) {
  button.addEventListener("click", save);
}
on("morph-play", "click", toggle);
slider.addEventListener("input", () => {
  pause();
  moveTo(slider.valueAsNumber, { settled: false });
});
slider.addEventListener("change", () => moveTo(slider.valueAsNumber, { step: false }));
