/* The tray of pinned pictures at the bottom of the page. */

import { $, on } from "./dom.js";
import { makeDropTarget } from "./drag.js";
import { pin, togglePin } from "./pins.js";
import { isSame } from "./recipe.js";
import { change, state, toStage } from "./state.js";
import { fillThumbnails, makeThumbnail } from "./thumbnails.js";

let hovered = null; // the button under a dragged picture

export function render(settled) {
  if (!settled) return;
  fillThumbnails($("pins-list"), state.pins, thumbnail);
  [...$("pins-list").children].forEach((button, k) => {
    button.ariaDescription = `${k + 1} of ${state.pins.length}`;
  });
  $("pins").classList.toggle("empty", state.pins.length === 0);
}

const indexOf = (recipe) => state.pins.findIndex((one) => isSame(one, recipe));

function thumbnail(recipe) {
  const button = makeThumbnail(recipe, (name) => `Pinned picture ${name}`, toStage);
  button.addEventListener("keydown", (event) => {
    if (["Delete", "Backspace"].includes(event.key)) togglePin(recipe);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && event.shiftKey) pin(recipe, Math.max(0, indexOf(recipe) + step));
  });
  return button;
}

/** Marks the side of the hovered button on which a drop inserts the picture. */
function markSide({ target, clientX }) {
  unmarkSide();
  hovered = target.closest("#pins-list button");
  if (!hovered) return;
  const { left, width } = hovered.getBoundingClientRect();
  hovered.dataset.side = Number(clientX > left + width / 2);
}

function unmarkSide() {
  delete hovered?.dataset.side;
}

function drop(recipe) {
  const others = state.pins.filter((one) => !isSame(one, recipe));
  if (!hovered) pin(recipe);
  else if (!isSame(hovered.recipe, recipe)) {
    const target = others.findIndex((one) => isSame(one, hovered.recipe));
    pin(recipe, target + Number(hovered.dataset.side));
  }
}

on("pins-clear", "click", () => change({ pins: [] }));
on("pins", "dragover", markSide);
on("pins", "dragleave", unmarkSide);
makeDropTarget($("pins"), drop);
on("pins", "drop", unmarkSide); // also for files
