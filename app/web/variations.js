/* One picture, surrounded by its variations. */

import { coalesce, resourcePath } from "./api.js";
import { nameOf } from "./classes.js";
import { $ } from "./dom.js";
import { loadSheet } from "./image.js";
import { displayWidth } from "./models.js";
import { makePicture, splitPicture } from "./picture.js";
import { bindSeed, bindSlider, view } from "./view.js";

const SIDES = [5, 3]; // pictures per side; the second where the server allows fewer

const sheet = $("variations-sheet");

const fetchSheet = coalesce(async () => {
  if (view.panel !== "variations") return;
  const { seed, ofClass } = splitPicture(centre());
  const parameters = { seed, class: ofClass, radius: view.radius };
  const path = (n) => resourcePath("variations", { ...parameters, rows: n, cols: n });
  const side = await loadSheet(sheet, SIDES, path);
  sheet.parentElement.style.setProperty("--side", side);
});

const centre = () => view.of || view.pins[0] || makePicture(view.seed, view.class);

export function render() {
  if (view.panel !== "variations") return;
  sheet.parentElement.style.width = `${displayWidth(640, SIDES[0])}px`;
  sheet.alt = `Picture ${nameOf(centre())}, surrounded by its variations`;
  $("variations-seed").value = splitPicture(centre()).seed;
  $("variations-radius").value = view.radius;
  fetchSheet();
}

bindSlider($("variations-radius"), (radius) => ({ radius }));
bindSeed("variations-seed", (seed) => {
  const { ofClass } = splitPicture(centre());
  return { of: makePicture(seed, ofClass) };
});
