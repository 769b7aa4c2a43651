/* One picture, surrounded by its variations. */

import { coalesce, resourcePath } from "./api.js";
import { $ } from "./dom.js";
import { loadSheet } from "./image.js";
import { displayWidth } from "./models.js";
import { bindSeed, bindSlider, view } from "./view.js";

const SIDES = [5, 3]; // pictures per side; the second where the server allows fewer

const sheet = $("variations-sheet");

const fetchSheet = coalesce(async () => {
  if (view.panel !== "variations") return;
  const parameters = { seed: centre(), radius: view.radius };
  const path = (n) => resourcePath("variations", { ...parameters, rows: n, cols: n });
  const side = await loadSheet(sheet, SIDES, path);
  sheet.parentElement.style.setProperty("--side", side);
});

const centre = () => view.of ?? view.pins[0] ?? view.seed;

export function render() {
  if (view.panel !== "variations") return;
  sheet.parentElement.style.width = `${displayWidth(640, SIDES[0])}px`;
  sheet.alt = `Picture ${centre()}, surrounded by its variations`;
  $("variations-seed").value = centre();
  $("variations-radius").value = view.radius;
  fetchSheet();
}

bindSlider($("variations-radius"), (radius) => ({ radius }));
bindSeed("variations-seed", "of");
