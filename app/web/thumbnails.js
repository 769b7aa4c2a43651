/* Thumbnails: buttons with one small picture, as in the tray and in the boxes of a sum. */

import { make } from "./dom.js";
import { makeDraggable } from "./drag.js";
import { showThumbnail } from "./draw.js";
import { description } from "./names.js";
import { showError } from "./notice.js";
import { keyOf } from "./recipe.js";

/** A thumbnail; `label(name)` is its name for screen readers. */
export function makeThumbnail(recipe, label, onClick) {
  const canvas = make("canvas", { width: 1, height: 1 });
  const button = make("button", { className: "thumbnail" }, canvas);
  Object.assign(button, { recipe, canvas });
  button.ariaLabel = label(description(recipe));
  button.title = button.ariaLabel;
  button.addEventListener("click", () => onClick(recipe));
  makeDraggable(button, () => recipe);
  return button;
}

/** Makes a list show thumbnails of these recipes; keeps those that it has, and the focus. */
export function fillThumbnails(list, recipes, makeOne) {
  const old = new Map([...list.children].map((button) => [keyOf(button.recipe), button]));
  const wanted = recipes.map((recipe) => old.get(keyOf(recipe)) ?? makeOne(recipe));
  const focused = [...list.children].indexOf(document.activeElement);
  if (wanted.some((button, k) => list.children[k] !== button) || wanted.length !== old.size) {
    const kept = wanted.includes(document.activeElement) ? document.activeElement : null;
    list.replaceChildren(...wanted);
    // An element that is moved or removed loses the focus.
    if (focused >= 0) (kept ?? wanted[Math.min(focused, wanted.length - 1)])?.focus();
  }
  for (const { canvas, recipe } of wanted) showThumbnail(canvas, recipe).catch(showError);
}
