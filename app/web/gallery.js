/* The gallery: pictures of consecutive seeds, loaded as they scroll into sight. */

import { coalesce, imagePath } from "./api.js";
import { openDialog } from "./dialog.js";
import { $, make, on } from "./dom.js";
import { makeDraggable } from "./drag.js";
import { clearStaleImage, showImage } from "./image.js";
import { isPinned, togglePin } from "./pins.js";
import { SEED_COUNT, bindSeed, change, randomSeed, view } from "./view.js";

const BATCH = 24; // tiles that are added at a time
const visible = new Set();
let first = null; // the seed of the first tile

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) visible.add(target);
      else visible.delete(target);
    }
    if (visible.has($("tiles").lastChild)) append();
    loadVisible();
  },
  { rootMargin: "300px" },
);

const loadVisible = coalesce(() =>
  Promise.all([...visible].map((tile) => showImage(tile.firstChild, imagePath(tile.seed)))),
);

export function render() {
  const field = $("gallery-seed");
  // Keep what was typed before the server responded.
  const typed = first === null && field.matches(":focus") && field.value;
  if (view.seed !== first) restart();
  if (!typed) field.value = first;
  for (const tile of $("tiles").children) {
    showPinned(tile);
    if (!visible.has(tile)) clearStaleImage(tile.firstChild, imagePath(tile.seed));
  }
  if (view.panel === "gallery") loadVisible();
}

function restart() {
  first = view.seed;
  observer.disconnect();
  visible.clear();
  $("tiles").replaceChildren();
  append();
  $("tiles").firstChild.tabIndex = 0;
}

function append() {
  const count = $("tiles").childElementCount;
  const seeds = Array.from({ length: BATCH }, (_, k) => (first + count + k) % SEED_COUNT);
  const tiles = seeds.map(makeTile);
  $("tiles").append(...tiles);
  for (const tile of tiles) observer.observe(tile);
}

function makeTile(seed) {
  const img = make("img", { alt: "", draggable: false });
  const tile = make("button", { className: "tile", tabIndex: -1 }, img, String(seed));
  tile.seed = seed;
  makeDraggable(tile, seed);
  showPinned(tile);
  return tile;
}

function showPinned(tile) {
  const pinned = isPinned(tile.seed);
  tile.classList.toggle("pinned", pinned);
  tile.ariaLabel = `Picture ${tile.seed}${pinned ? ", pinned" : ""}`;
}

/* Arrow keys move between tiles; the tab key reaches one of them. */
function handleKey(event) {
  const tiles = [...$("tiles").children];
  const index = tiles.indexOf(document.activeElement);
  const columns = getComputedStyle($("tiles")).gridTemplateColumns.split(" ").length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (event.key === "p") togglePin(document.activeElement.seed);
  const next = event.key === "Home" ? tiles[0] : tiles[index + steps[event.key]];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

on("tiles", "click", ({ target }) => {
  const tile = target.closest(".tile");
  if (tile) openDialog(tile.seed);
});
on("tiles", "keydown", handleKey);
on("tiles", "focusin", ({ target }) => {
  for (const tile of $("tiles").querySelectorAll('[tabindex="0"]')) tile.tabIndex = -1;
  target.tabIndex = 0;
});
bindSeed("gallery-seed", "seed");
on("gallery-shuffle", "click", () => change({ seed: randomSeed() }));
