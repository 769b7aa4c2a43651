/* Drag and drop of pictures by mouse. Buttons offer the same to keyboard and touch. */

import { readRecipe, textOf } from "./recipe.js";
import { state } from "./state.js";

const TYPE = "application/x-picture";

const root = document.documentElement;

/** Keeps a browser from scrolling down near the edge of the window, where the tray is. */
const lock = ({ clientY }) => root.classList.toggle("dragging", clientY > innerHeight / 2);

/** Makes an element draggable; the drag carries the recipe that `recipeOf()` returns. */
export function makeDraggable(element, recipeOf) {
  // On a touch screen a long press is for the buttons of a picture.
  element.addEventListener("pointerdown", ({ pointerType }) => {
    element.draggable = pointerType === "mouse";
  });
  element.draggable = true;
  element.addEventListener("dragstart", (event) => {
    event.dataTransfer.setData(TYPE, textOf(recipeOf()));
    lock(event);
  });
  element.addEventListener("drag", lock);
  element.addEventListener("dragend", () => root.classList.remove("dragging"));
}

/** Calls `onDrop` with the recipe that is dropped on an element. */
export function makeDropTarget(element, onDrop) {
  const accepts = (event) => event.dataTransfer.types.includes(TYPE);
  element.addEventListener("dragover", (event) => {
    if (!accepts(event)) return;
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) element.classList.remove("over");
  });
  element.addEventListener("drop", (event) => {
    if (!accepts(event)) return;
    event.preventDefault();
    element.classList.remove("over");
    const recipe = readRecipe(event.dataTransfer.getData(TYPE), state.stage);
    if (recipe) onDrop(recipe);
  });
}
