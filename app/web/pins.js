/* The tray of pinned images, in an order that can be changed. */

import { openActions } from "./actions.js";
import { imagePath } from "./api.js";
import { $, make, on } from "./dom.js";
import { draggable, target } from "./drag.js";
import { draw } from "./image.js";
import { tell } from "./notice.js";
import { MOST, SEEDS, change, view } from "./view.js";

const buttons = new Map();
let below = null; // the pinned image that another is dragged over

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

/** Puts an image at a place among the others; without one a new image comes last. */
function pin(seed, place) {
  const others = view.pins.filter((one) => one !== seed);
  if (others.length === MOST) tell(`There is room for ${MOST} pinned images.`);
  else if (place !== undefined || !pinned(seed)) {
    change({ pins: others.toSpliced(place ?? MOST, 0, seed) });
  }
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
  order.forEach((button, k) => {
    button.ariaDescription = `${k + 1} of ${order.length}`;
  });
  // Moving an element takes the focus from it.
  if (order.some((button, k) => $("pins-list").children[k] !== button)) {
    const focused = document.activeElement;
    $("pins-list").replaceChildren(...order);
    if (order.includes(focused)) focused.focus();
  }
  $("pins").classList.toggle("empty", order.length === 0);
}

const neighbour = (button) => button.nextElementSibling ?? button.previousElementSibling;

function thumbnail(seed) {
  const img = make("img", { alt: "", draggable: false });
  const button = make("button", { "aria-label": `Pinned image ${seed}` }, img);
  button.seed = seed;
  button.addEventListener("click", () => openActions(seed));
  button.addEventListener("keydown", (event) => {
    if (["Delete", "Backspace", "p"].includes(event.key)) toggle(seed);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && event.shiftKey) pin(seed, Math.max(0, view.pins.indexOf(seed) + step));
  });
  draggable(button, seed);
  return button;
}

/** Shows on which side of the pinned image below the mouse the dragged one would be put. */
function aim({ target, clientX }) {
  leave();
  below = target.closest("#pins-list button");
  if (!below) return;
  const { left, width } = below.getBoundingClientRect();
  below.dataset.side = Number(clientX > left + width / 2);
}

function leave() {
  delete below?.dataset.side;
}

function drop(seed) {
  const others = view.pins.filter((one) => one !== seed);
  if (!below) pin(seed);
  else if (below.seed !== seed) pin(seed, others.indexOf(below.seed) + Number(below.dataset.side));
  leave();
}

on("pins-clear", "click", () => change({ pins: [] }));
on("pins", "dragover", aim);
on("pins", "dragleave", leave);
target($("pins"), drop);
