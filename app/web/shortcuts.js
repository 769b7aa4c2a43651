/* Shortcuts of the keyboard, for the picture that has the focus or else for the stage. */

import { $, on } from "./dom.js";
import { togglePin } from "./pins.js";
import { save } from "./save.js";
import { shuffle } from "./stage.js";
import { state } from "./state.js";
import { focusedRecipe } from "./tiles.js";

const recipe = () => focusedRecipe() ?? state.stage;
const SHORTCUTS = {
  " ": shuffle,
  p: () => togglePin(recipe()),
  s: () => save(recipe()),
  "?": () => $("help").showModal(),
};
const CONTROLS = "button, a, input, select, textarea, summary, [role=slider]";

addEventListener("keydown", (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  if (!document.body.classList.contains("ready")) return;
  if (ctrlKey || metaKey || altKey || document.querySelector("dialog[open]")) return;
  // A control has its own use for the space bar, and a field for every key.
  if (target.closest("input:not([type=range]):not([type=radio]), select, textarea")) return;
  if (key === " " && target.closest(CONTROLS)) return;
  const shortcut = SHORTCUTS[key.toLowerCase()]; // also with Caps Lock
  if (!shortcut) return;
  event.preventDefault();
  if (!event.repeat) shortcut(); // a key that is held down counts once
});
on("help-open", "click", () => $("help").showModal());
