/* The stage: one large picture, and what can be done with it. */

import { coalesce } from "./api.js";
import { $, on } from "./dom.js";
import { drawOne, erase, show } from "./draw.js";
import { imageSize } from "./models.js";
import { description, nameOf } from "./names.js";
import { isPinned, togglePin } from "./pins.js";
import { isSame, makeRecipe, randomSeed } from "./recipe.js";
import { save } from "./save.js";
import { share } from "./share.js";
import { change, state, toStage } from "./state.js";

const canvas = $("stage-picture");
const smooth = $("stage-smooth");
let shown = null; // the recipe of the picture in sight

// One request at a time: while a slider moves, the latest position wins.
const drawLatest = coalesce(async () => {
  const recipe = state.stage;
  if (shown && isSame(shown, recipe)) return;
  const before = shown;
  const isLatest = () => shown === before; // a morph may have gone on meanwhile
  const bitmap = await drawOne(recipe).catch((error) => {
    if (isLatest()) leaveEmpty();
    throw error;
  });
  if (isLatest()) showOnStage(bitmap, recipe);
  bitmap.close();
});

export function render(settled) {
  if (settled) describe();
  drawLatest();
}

function describe() {
  const name = nameOf(state.stage);
  const { width, height } = imageSize();
  $("stage-name").textContent = `Picture ${name}`;
  canvas.ariaLabel = `Picture ${description(state.stage)} of the model ${state.stage.model}`;
  canvas.style.aspectRatio = `${width} / ${height}`;
  document.body.classList.toggle("pixels", state.pixels);
  smooth.ariaPressed = String(state.pixels);
  $("stage-pin").textContent = isPinned(state.stage) ? "Unpin" : "Pin";
  document.title = `${state.stage.model} ${name} – AI pictures of things that do not exist`;
}

/** Shows the bitmap of a recipe, which may become the state later. */
export function showOnStage(bitmap, recipe) {
  show(canvas, bitmap);
  shown = recipe;
  removeFirst();
}

/** Empties the stage, which already has the name of the picture that cannot be drawn. */
function leaveEmpty() {
  erase(canvas);
  shown = null;
  removeFirst();
}

/** Removes the server's picture, which was there before this script. */
const removeFirst = () => $("stage-first")?.remove();

/** Another seed, with the same edits, and with the class and the attributes that were chosen. */
export function shuffle() {
  // Those of a picture without a seed were computed, not chosen.
  const own = state.stage.latent ? { class: "", attributes: {} } : {};
  toStage(makeRecipe({ ...state.stage, ...own, latent: "", seed: randomSeed() }));
}

smooth.addEventListener("click", () => change({ pixels: !state.pixels }, { step: false }));
on("stage-shuffle", "click", shuffle);
on("stage-pin", "click", () => togglePin(state.stage));
on("stage-save", "click", () => save(state.stage));
on("stage-share", "click", share);
