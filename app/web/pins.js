/* The tray of pinned images. */

import { openActions } from "./actions.js";
import { imagePath } from "./api.js";
import { $, make } from "./dom.js";
import { draggable, target } from "./drag.js";
import { draw } from "./image.js";
import { tell } from "./notice.js";
import { MOST, SEEDS, change, view } from "./view.js";

const buttons = new Map();

export const pinned = (seed) => view.pins.includes(seed);

/** Pins an image, or takes it off. */
export function toggle(seed) {
  if (pinned(seed)) change({ pins: view.pins.filter((pin) => pin !== seed) });
  else pin(seed);
}

/** Pins images of random seeds until there are so many. */
export function pinRandom(count) {
  const pins = new Set(view.pins);
  while (pins.size < count) pins.add(Math.floor(Math.random() * SEEDS));
  change({ pins: [...pins] });
}

function pin(seed) {
  if (pinned(seed)) return;
  if (view.pins.length === MOST) tell(`There is room for ${MOST} pinned images.`);
  else change({ pins: [...view.pins, seed] });
}

/** Shows what the view says. */
export function render() {
  for (const [seed, button] of buttons) {
    if (pinned(seed)) continue;
    // Whoever unpins by the keyboard goes on at the neighbour.
    if (button === document.activeElement) neighbour(button)?.focus();
    button.remove();
    buttons.delete(seed);
  }
  for (const seed of view.pins) {
    if (!buttons.has(seed)) buttons.set(seed, thumbnail(seed));
    draw(buttons.get(seed).firstChild, imagePath(seed));
  }
  const order = view.pins.map((seed) => buttons.get(seed));
  // Moving an element takes the focus from it.
  if (order.some((button, k) => $("pins-list").children[k] !== button)) {
    $("pins-list").replaceChildren(...order);
  }
  $("pins").classList.toggle("empty", order.length === 0);
}

const neighbour = (button) => button.nextElementSibling ?? button.previousElementSibling;

function thumbnail(seed) {
  const img = make("img", { alt: "", draggable: false });
  const button = make("button", { type: "button", "aria-label": `Pinned image ${seed}` }, img);
  button.addEventListener("click", () => openActions(seed));
  button.addEventListener("keydown", (event) => {
    if (["Delete", "Backspace", "p"].includes(event.key)) toggle(seed);
  });
  draggable(button, seed);
  return button;
}

$("pins-clear").addEventListener("click", () => change({ pins: [] }));
target($("pins"), pin);
