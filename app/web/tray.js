/* The tray of pinned pictures at the bottom of the page. */

import { imagePath } from "./api.js";
import { openDialog } from "./dialog.js";
import { nameOf } from "./classes.js";
import { $, make, on } from "./dom.js";
import { makeDraggable, makeDropTarget } from "./drag.js";
import { showImage } from "./image.js";
import { isPinned, pin, togglePin } from "./pins.js";
import { change, view } from "./view.js";

const buttons = new Map(); // by picture
let hovered = null; // the button under a dragged picture

export function render() {
  for (const [picture, button] of buttons) {
    if (isPinned(picture)) continue;
    // Keep the keyboard's place: the focus moves to the neighbour.
    const neighbour = button.nextElementSibling ?? button.previousElementSibling;
    if (button === document.activeElement) neighbour?.focus();
    button.remove();
    buttons.delete(picture);
  }
  for (const picture of view.pins) {
    if (!buttons.has(picture)) buttons.set(picture, thumbnail(picture));
    showImage(buttons.get(picture).firstChild, imagePath(picture));
  }
  const order = view.pins.map((picture) => buttons.get(picture));
  order.forEach((button, k) => {
    button.ariaLabel = `Pinned picture ${nameOf(button.picture)}`;
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

function thumbnail(picture) {
  const img = make("img", { alt: "", draggable: false });
  const button = make("button", {}, img);
  button.picture = picture;
  button.addEventListener("click", () => openDialog(picture));
  button.addEventListener("keydown", (event) => {
    if (["Delete", "Backspace", "p"].includes(event.key)) togglePin(picture);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && event.shiftKey) pin(picture, Math.max(0, view.pins.indexOf(picture) + step));
  });
  makeDraggable(button);
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

function drop(picture) {
  const others = view.pins.filter((one) => one !== picture);
  if (!hovered) pin(picture);
  else if (hovered.picture !== picture) {
    pin(picture, others.indexOf(hovered.picture) + Number(hovered.dataset.side));
  }
  unmarkSide();
}

on("pins-clear", "click", () => change({ pins: [] }));
on("pins", "dragover", markSide);
on("pins", "dragleave", unmarkSide);
makeDropTarget($("pins"), drop);
