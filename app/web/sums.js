/* Arithmetic: the mean of some images, less that of others, plus that of more. */

import { askJson, imagePath } from "./api.js";
import { $, make } from "./dom.js";
import { target } from "./drag.js";
import { draw } from "./image.js";
import { wide } from "./models.js";
import { latest } from "./pace.js";
import { MOST, change, view } from "./view.js";

const NEIGHBOURS = 9;

const fetchResult = latest(async () => {
  if (!active()) return;
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
  const { images } = await askJson("arithmetic", { method: "POST", headers, body });
  images.forEach(({ png }, k) => {
    $("sums-result").children[k].src = `data:image/png;base64,${png}`;
  });
});

// Something is to be added before anything can be taken away.
const active = () => view.panel === "sums" && view.start.length + view.plus.length > 0;

/** Shows what the view says. */
export function render() {
  if (view.panel !== "sums") return;
  for (const box of document.querySelectorAll("#sums .box")) fill(box);
  $("sums-result").hidden = !active();
  $("sums-empty").hidden = active();
  $("sums-result").style.width = `${3 * wide(130)}px`;
  fetchResult();
}

function fill(box) {
  const { name } = box.dataset;
  const seeds = view[name];
  const list = box.querySelector(".list");
  const focused = [...list.children].indexOf(document.activeElement);
  const same = String([...list.children].map((item) => item.seed)) === String(seeds);
  if (!same) list.replaceChildren(...seeds.map((seed) => item(box, seed)));
  if (!same && focused >= 0) (list.children[focused] ?? list.lastChild ?? box).focus();
  for (const one of list.children) draw(one.firstChild, imagePath(one.seed));
}

function item(box, seed) {
  const { name } = box.dataset;
  const img = make("img", { alt: "", draggable: false });
  const label = `Remove image ${seed} from “${box.ariaLabel}”`;
  const button = make("button", { title: label, "aria-label": label }, img);
  button.seed = seed;
  button.addEventListener("click", () => {
    change({ [name]: view[name].filter((one) => one !== seed) });
  });
  return button;
}

function take(name, seed) {
  if (!view[name].includes(seed)) change({ [name]: [...view[name], seed].slice(-MOST) });
}

for (const box of document.querySelectorAll("#sums .box")) {
  target(box, (seed) => take(box.dataset.name, seed));
}
$("sums-result").append(
  ...Array.from({ length: NEIGHBOURS }, (_, k) =>
    make("img", { alt: k === (NEIGHBOURS - 1) / 2 ? "The result" : "A neighbour of the result" }),
  ),
);
