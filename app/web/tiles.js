/* Tiles: buttons with a picture, to open, drag and pin it. */

import { nameOf } from "./classes.js";
import { openDialog } from "./dialog.js";
import { make } from "./dom.js";
import { makeDraggable } from "./drag.js";
import { isPinned, togglePin } from "./pins.js";

/** A tile with an element that shows its picture, and others. */
export function makeTile(...children) {
  const tile = make("button", { className: "tile", tabIndex: -1 }, ...children);
  makeDraggable(tile);
  return tile;
}

/** Gives a tile its picture, and marks it if that is pinned. */
export function setPicture(tile, picture) {
  const pinned = isPinned(picture);
  tile.picture = picture;
  tile.classList.toggle("pinned", pinned);
  tile.ariaLabel = `Picture ${nameOf(picture)}${pinned ? ", pinned" : ""}`;
}

/** The tiles in an element. */
export const tilesIn = (list) => [...list.querySelectorAll(".tile")];

/** Lets the tab key reach one tile, and the arrow keys move between `columns()` columns. */
export function bindTiles(list, columns) {
  list.addEventListener("click", ({ target }) => {
    const tile = target.closest(".tile");
    if (tile) openDialog(tile.picture);
  });
  list.addEventListener("keydown", (event) => {
    const tiles = tilesIn(list);
    const index = tiles.indexOf(document.activeElement);
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns() };
    if (event.key === "p") togglePin(document.activeElement.picture);
    const next = event.key === "Home" ? tiles[0] : tiles[index + steps[event.key]];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  list.addEventListener("focusin", ({ target }) => {
    for (const tile of list.querySelectorAll('[tabindex="0"]')) tile.tabIndex = -1;
    target.tabIndex = 0;
  });
}
