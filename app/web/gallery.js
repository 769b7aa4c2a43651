/* The gallery: pictures of consecutive seeds, loaded as they scroll into sight. */

import { coalesce, imagePath } from "./api.js";
import { nameOf } from "./classes.js";
import { $, make, on } from "./dom.js";
import { clearStaleImage, showImage } from "./image.js";
import { SEED_COUNT, makePicture } from "./picture.js";
import { bindTiles, makeTile, setPicture } from "./tiles.js";
import { bindSeed, change, randomSeed, view } from "./view.js";

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
  Promise.all([...visible].map((tile) => showImage(tile.firstChild, imagePath(tile.picture)))),
);

export function render() {
  const field = $("gallery-seed");
  // Keep what was typed before the server responded.
  const typed = first === null && field.matches(":focus") && field.value;
  if (view.seed !== first) restart();
  if (!typed) field.value = first;
  $("tiles").hidden = Boolean(view.rows);
  for (const tile of $("tiles").children) {
    showTile(tile);
    if (!visible.has(tile)) clearStaleImage(tile.firstChild, imagePath(tile.picture));
  }
  if (view.panel === "gallery" && !view.rows) loadVisible();
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
  for (let k = 0; k < BATCH; k += 1) {
    const tile = makeTile(make("img", { alt: "", draggable: false }), make("span"));
    tile.seed = (first + count + k) % SEED_COUNT;
    showTile(tile);
    $("tiles").append(tile);
    observer.observe(tile);
  }
}

function showTile(tile) {
  setPicture(tile, makePicture(tile.seed, view.class));
  // A class that all have need not be repeated.
  tile.lastChild.textContent = view.class ? tile.seed : nameOf(tile.picture);
}

const columns = () => getComputedStyle($("tiles")).gridTemplateColumns.split(" ").length;

bindTiles($("tiles"), columns);
bindSeed("gallery-seed", (seed) => ({ seed }));
on("gallery-shuffle", "click", () => change({ seed: randomSeed() }));
