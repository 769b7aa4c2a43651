/* Tiles: small pictures that go to the stage when clicked, with buttons to pin and save them. */

import { $, make } from "./dom.js";
import { makeDraggable } from "./drag.js";
import { description } from "./names.js";
import { isPinned, togglePin } from "./pins.js";
import { save } from "./save.js";
import { toStage } from "./state.js";

const HOLD_MS = 500; // a long press shows the buttons of a tile

/** A tile; `recipe` is set by `setRecipe`. */
export function makeTile(recipe) {
  const canvas = make("canvas", { width: 1, height: 1 });
  const open = make("button", { className: "open", tabIndex: -1 }, canvas);
  const pin = make("button", { className: "act", tabIndex: -1 });
  const keep = make("button", { className: "act", tabIndex: -1 }, "Save");
  const acts = make("div", { className: "acts" }, pin, keep);
  const tile = make("div", { className: "tile" }, open, acts);
  Object.assign(tile, { canvas, open, pin });
  open.addEventListener("click", () => {
    if (tile.classList.contains("held")) return;
    toStage(tile.recipe);
    $("stage").scrollIntoView({ block: "nearest" });
  });
  pin.addEventListener("click", () => togglePin(tile.recipe));
  keep.addEventListener("click", () => save(tile.recipe));
  keep.ariaLabel = "Save picture";
  bindHold(tile);
  makeDraggable(open, () => tile.recipe);
  setRecipe(tile, recipe);
  return tile;
}

/** Gives a tile its recipe, and says whether that is pinned. */
export function setRecipe(tile, recipe) {
  const pinned = isPinned(recipe);
  const name = description(recipe);
  tile.recipe = recipe;
  tile.classList.toggle("pinned", pinned);
  tile.open.ariaLabel = `Picture ${name}${pinned ? ", pinned" : ""}`;
  tile.open.title = name;
  tile.pin.textContent = pinned ? "Unpin" : "Pin";
  tile.pin.ariaLabel = `${tile.pin.textContent} picture`;
}

/** Shows the result of a tool as the only tile in an element, and returns that tile. */
export function showResult(element, recipe) {
  const [old] = tilesIn(element);
  const tile = old ?? makeTile(recipe);
  if (!old) element.append(tile);
  setRecipe(tile, recipe);
  tile.open.tabIndex = 0;
  tile.open.ariaLabel = "The result: show it large";
  return tile;
}

/** A long press on a touch screen shows the buttons, and the click after it opens nothing. */
function bindHold(tile) {
  let timer;
  const end = () => clearTimeout(timer);
  tile.open.addEventListener("pointerdown", ({ pointerType }) => {
    for (const held of document.querySelectorAll(".held")) held.classList.remove("held");
    if (pointerType !== "mouse") timer = setTimeout(() => tile.classList.add("held"), HOLD_MS);
  });
  for (const type of ["pointerup", "pointercancel", "pointerleave"]) {
    tile.open.addEventListener(type, end);
  }
  tile.open.addEventListener("contextmenu", (event) => {
    if (tile.classList.contains("held")) event.preventDefault();
  });
}

export const tilesIn = (list) => [...list.querySelectorAll(".tile")];

/** The recipe of the tile or thumbnail that has the focus; undefined if none has. */
export const focusedRecipe = () => document.activeElement?.closest(".tile, .thumbnail")?.recipe;

/** Lets the tab key reach one tile, and the arrow keys move between `columns()` columns. */
export function bindTiles(list, columns) {
  list.addEventListener("keydown", (event) => {
    const tiles = tilesIn(list);
    const index = tiles.indexOf(document.activeElement.closest(".tile"));
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns() };
    const next = event.key === "Home" ? tiles[0] : tiles[index + steps[event.key]];
    if (!next) return;
    event.preventDefault();
    next.open.focus();
  });
  list.addEventListener("focusin", ({ target }) => {
    for (const open of list.querySelectorAll('.open[tabindex="0"]')) open.tabIndex = -1;
    target.closest(".tile").open.tabIndex = 0;
  });
}

/** Makes the first tile of a list the one that the tab key reaches. */
export function enableTab(list) {
  const [first] = tilesIn(list);
  if (first && !list.querySelector('.open[tabindex="0"]')) first.open.tabIndex = 0;
}
