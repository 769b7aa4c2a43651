/* The gallery: images of consecutive seeds, drawn as they come into sight. */

import { openActions } from "./actions.js";
import { imagePath } from "./api.js";
import { $, make, on } from "./dom.js";
import { draggable } from "./drag.js";
import { clear, draw } from "./image.js";
import { latest } from "./pace.js";
import { pinned, toggle } from "./pins.js";
import { SEEDS, change, seedField, view } from "./view.js";

const MORE = 24;
const visible = new Set();
let first = null; // the seed that the tiles begin at

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) visible.add(target);
      else visible.delete(target);
    }
    if (visible.has($("tiles").lastChild)) append();
    paint();
  },
  { rootMargin: "300px" },
);

const paint = latest(() =>
  Promise.all([...visible].map((tile) => draw(tile.firstChild, imagePath(tile.seed)))),
);

/** Shows what the view says. */
export function render() {
  const field = $("gallery-seed");
  // A hand may be faster than the server.
  const typed = first === null && field.matches(":focus") && field.value;
  if (view.seed !== first) restart();
  if (!typed) field.value = first;
  for (const tile of $("tiles").children) {
    mark(tile);
    if (!visible.has(tile)) clear(tile.firstChild, imagePath(tile.seed));
  }
  if (view.panel === "gallery") paint();
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
  const seeds = Array.from({ length: MORE }, (_, k) => (first + count + k) % SEEDS);
  const tiles = seeds.map(tile);
  $("tiles").append(...tiles);
  for (const one of tiles) observer.observe(one);
}

function tile(seed) {
  const img = make("img", { alt: "", draggable: false });
  const button = make("button", { className: "tile", tabIndex: -1 }, img, String(seed));
  button.seed = seed;
  draggable(button, seed);
  mark(button);
  return button;
}

function mark(tile) {
  tile.classList.toggle("pinned", pinned(tile.seed));
  tile.ariaLabel = `Image ${tile.seed}${pinned(tile.seed) ? ", pinned" : ""}`;
}

/* One tile is a stop for the tab key; from there the arrows lead on. */
function step(event) {
  const tiles = [...$("tiles").children];
  const at = tiles.indexOf(document.activeElement);
  const columns = getComputedStyle($("tiles")).gridTemplateColumns.split(" ").length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (event.key === "p") toggle(document.activeElement.seed);
  const to = event.key === "Home" ? tiles[0] : tiles[at + steps[event.key]];
  if (!to) return;
  event.preventDefault();
  to.focus();
}

on("tiles", "click", ({ target }) => {
  const chosen = target.closest(".tile");
  if (chosen) openActions(chosen.seed);
});
on("tiles", "keydown", step);
on("tiles", "focusin", ({ target }) => {
  for (const one of $("tiles").querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
  target.tabIndex = 0;
});
seedField("gallery-seed", "seed");
on("gallery-shuffle", "click", () => {
  change({ seed: Math.floor(Math.random() * SEEDS) });
});
