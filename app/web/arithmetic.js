/* Arithmetic with the averages of pictures. */

import { coalesce, imagePath, requestJson } from "./api.js";
import { $, make } from "./dom.js";
import { makeDropTarget } from "./drag.js";
import { showImage } from "./image.js";
import { displayWidth } from "./models.js";
import { MAX_PICTURES, change, view } from "./view.js";

const NEIGHBOURS = 9; // on the sheet, the result in the middle included
const result = $("arithmetic-result");

const fetchResult = coalesce(async () => {
  if (!isActive()) return;
  const { model, version, edit, truncation } = view;
  const groups = (...lists) => lists.filter((list) => list.length > 0);
  const body = JSON.stringify({
    model,
    version,
    edit,
    truncation,
    plus: groups(view.start, view.plus),
    minus: groups(view.minus),
    neighbours: NEIGHBOURS,
  });
  const headers = { "Content-Type": "application/json" };
  const { images } = await requestJson("arithmetic", { method: "POST", headers, body });
  images.forEach(({ png }, k) => {
    result.children[k].src = `data:image/png;base64,${png}`;
  });
});

// The server requires at least one picture to add.
const isActive = () => view.panel === "arithmetic" && view.start.length + view.plus.length > 0;

export function render() {
  if (view.panel !== "arithmetic") return;
  for (const box of document.querySelectorAll(".box")) fill(box);
  result.hidden = !isActive();
  $("arithmetic-empty").hidden = isActive();
  result.style.width = `${3 * displayWidth(130)}px`;
  fetchResult();
}

function fill(box) {
  const seeds = view[box.dataset.name];
  const list = box.querySelector(".list");
  const focused = [...list.children].indexOf(document.activeElement);
  const same = String([...list.children].map((item) => item.seed)) === String(seeds);
  if (!same) list.replaceChildren(...seeds.map((seed) => makeItem(box, seed)));
  if (!same && focused >= 0) (list.children[focused] ?? list.lastChild ?? box).focus();
  for (const item of list.children) showImage(item.firstChild, imagePath(item.seed));
}

function makeItem(box, seed) {
  const { name } = box.dataset;
  const img = make("img", { alt: "", draggable: false });
  const label = `Remove picture ${seed} from “${box.ariaLabel}”`;
  const button = make("button", { title: label, "aria-label": label }, img);
  button.seed = seed;
  button.addEventListener("click", () => {
    change({ [name]: view[name].filter((one) => one !== seed) });
  });
  return button;
}

function addTo(name, seed) {
  if (!view[name].includes(seed)) change({ [name]: [...view[name], seed].slice(-MAX_PICTURES) });
}

for (const box of document.querySelectorAll(".box")) {
  makeDropTarget(box, (seed) => addTo(box.dataset.name, seed));
}
result.append(
  ...Array.from({ length: NEIGHBOURS }, (_, k) =>
    make("img", { alt: k === (NEIGHBOURS - 1) / 2 ? "The result" : "A neighbour of the result" }),
  ),
);
