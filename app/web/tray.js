/* The tray of pinned pictures at the bottom of the page. */

import { imagePath } from "./api.js";
import { openDialog } from "./dialog.js";
import { $, make, on } from "./dom.js";
import { makeDraggable, makeDropTarget } from "./drag.js";
import { showImage } from "./image.js";
import { isPinned, pin, togglePin } from "./pins.js";
import { change, view } from "./view.js";

const buttons = new Map(); // by seed
let hovered = null; // the button under a dragged picture

export function render() {
  for (const [seed, button] of buttons) {
    if (isPinned(seed)) continue;
    // Keep the keyboard's place: the focus moves to the neighbour.
    const neighbour = button.nextElementSibling ?? button.previousElementSibling;
    if (button === document.activeElement) neighbour?.focus();
    button.remove();
    buttons.delete(seed);
  }
  for (const seed of view.pins) {
    if (!buttons.has(seed)) buttons.set(seed, thumbnail(seed));
    showImage(buttons.get(seed).firstChild, imagePath(seed));
  }
  const order = view.pins.map((seed) => buttons.get(seed));
  order.forEach((button, k) => {
    button.ariaDescription = `${k + 1} of ${order.length}`;
  });
  // An element that is moved loses the focus.
  if (order.some((button, k) => $("pins-list").children[k] !== button)) {
    const focused = document.activeElement;
    $("pins-list").replaceChildren(...order);
    if (order.includes(focused)) focused.focus();
  }
  $("pins").classList.toggle("empty", order.length === 0);
}

function thumbnail(seed) {
  const img = make("img", { alt: "", draggable: false });
  const button = make("button", { "aria-label": `Pinned picture ${seed}` }, img);
  button.seed = seed;
  button.addEventListener("click", () => openDialog(seed));
  button.addEventListener("keydown", (event) => {
    if (["Delete", "Backspace", "p"].includes(event.key)) togglePin(seed);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && event.shiftKey) pin(seed, Math.max(0, view.pins.indexOf(seed) + step));
  });
  makeDraggable(button, seed);
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

function drop(seed) {
  const others = view.pins.filter((one) => one !== seed);
  if (!hovered) pin(seed);
  else if (hovered.seed !== seed) {
    pin(seed, others.indexOf(hovered.seed) + Number(hovered.dataset.side));
  }
  unmarkSide();
}

on("pins-clear", "click", () => change({ pins: [] }));
on("pins", "dragover", markSide);
on("pins", "dragleave", unmarkSide);
makeDropTarget($("pins"), drop);
