/* Arithmetic with the averages of pictures. */

import { coalesce, imagePath, requestJson } from "./api.js";
import { classOfSum, nameOf } from "./classes.js";
import { $, make } from "./dom.js";
import { makeDropTarget } from "./drag.js";
import { showImage } from "./image.js";
import { displayWidth } from "./models.js";
import { splitPicture } from "./picture.js";
import { MAX_PICTURES, change, view } from "./view.js";

const NEIGHBOURS = 9; // on the sheet, the result in the middle included
const result = $("arithmetic-result");

const fetchResult = coalesce(async () => {
  if (!isActive()) return;
  const { model, version, edit, attributes, truncation } = view;
  const groups = (...lists) => lists.filter((list) => list.length > 0);
  const [plus, minus] = [groups(view.start, view.plus), groups(view.minus)];
  const seeds = (group) => group.map((picture) => splitPicture(picture).seed);
  const body = JSON.stringify({
    model,
    version,
    edit,
    attributes,
    truncation,
    class: classOfSum(plus, minus),
    plus: plus.map(seeds),
    minus: minus.map(seeds),
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
  const pictures = view[box.dataset.name];
  const list = box.querySelector(".list");
  const focused = [...list.children].indexOf(document.activeElement);
  const same = String([...list.children].map((item) => item.picture)) === String(pictures);
  if (!same) list.replaceChildren(...pictures.map((one) => makeItem(box, one)));
  if (!same && focused >= 0) (list.children[focused] ?? list.lastChild ?? box).focus();
  for (const item of list.children) showImage(item.firstChild, imagePath(item.picture));
}

function makeItem(box, picture) {
  const { name } = box.dataset;
  const img = make("img", { alt: "", draggable: false });
  const label = `Remove picture ${nameOf(picture)} from “${box.ariaLabel}”`;
  const button = make("button", { title: label, "aria-label": label }, img);
  button.picture = picture;
  button.addEventListener("click", () => {
    change({ [name]: view[name].filter((one) => one !== picture) });
  });
  return button;
}

function addTo(name, picture) {
  if (view[name].includes(picture)) return;
  change({ [name]: [...view[name], picture].slice(-MAX_PICTURES) });
}

for (const box of document.querySelectorAll(".box")) {
  makeDropTarget(box, (picture) => addTo(box.dataset.name, picture));
}
result.append(
  ...Array.from({ length: NEIGHBOURS }, (_, k) =>
    make("img", { alt: k === (NEIGHBOURS - 1) / 2 ? "The result" : "A neighbour of the result" }),
  ),
);
