/* The list of pinned pictures, which this browser remembers for each model version. */

import { resolvedRecipe, unique } from "./models.js";
import { showMessage } from "./notice.js";
import { isSame, readRecipe, textOf } from "./recipe.js";
import { MAX_PICTURES, change, isGiven, state } from "./state.js";

export const isPinned = (recipe) => state.pins.some((pin) => isSame(pin, recipe));

const without = (recipe) => state.pins.filter((pin) => !isSame(pin, recipe));

/** Pins or unpins a picture. */
export function togglePin(recipe) {
  if (isPinned(recipe)) change({ pins: without(recipe) });
  else pin(recipe);
}

/** Inserts or moves a picture to an index among the others; by default appends it. */
export function pin(recipe, index = MAX_PICTURES) {
  const others = without(recipe);
  if (others.length === MAX_PICTURES) showMessage(`You can pin up to ${MAX_PICTURES} pictures.`);
  else change({ pins: others.toSpliced(index, 0, recipe) });
}

const keyOf = ({ model, version }) => `pins/${model}/${version}`;
let shown = { key: null, text: "" }; // whose pins are in the tray, and their text

/** Loads the pins of another model version, and stores those of this one if they have changed. */
export function render(settled) {
  if (!settled) return;
  const key = keyOf(state.stage);
  const isOther = key !== shown.key;
  const isGivenFirst = shown.key === null && isGiven("pins");
  if (isOther && !state.pins.length && !isGivenFirst) state.pins = load(key);
  const text = state.pins.map(textOf).join("~");
  // Another window may have stored more since then.
  if (!isOther && text !== shown.text) store(key, text);
  shown = { key, text };
}

function load(key) {
  const texts = (read(key) ?? "").split("~");
  const found = texts.map((text) => readRecipe(text, state.stage)).filter(Boolean);
  return unique(found.map(resolvedRecipe)); // the version may have been replaced since then
}

// A browser may refuse both, for example in private windows.
function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return "";
  }
}

function store(key, text) {
  try {
    localStorage.setItem(key, text);
  } catch {
    // The pins stay in the address.
  }
}
