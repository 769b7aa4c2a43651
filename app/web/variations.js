/* One image amid its neighbours. */

import { drawingPath } from "./api.js";
import { $ } from "./dom.js";
import { loadFirst } from "./image.js";
import { wide } from "./models.js";
import { latest } from "./pace.js";
import { seedField, sliderField, view } from "./view.js";

const SIDES = [5, 3]; // images a side; the second where the server allows only a few

const sheet = $("variations-sheet");

const fetchSheet = latest(async () => {
  if (view.panel !== "variations") return;
  const paths = SIDES.map((n) =>
    drawingPath("variations", { seed: centre(), radius: view.radius, rows: n, cols: n }),
  );
  const side = SIDES[await loadFirst(sheet, paths)];
  sheet.parentElement.style.setProperty("--side", side);
});

const centre = () => view.of ?? view.pins[0] ?? view.seed;

/** Shows what the view says. */
export function render() {
  if (view.panel !== "variations") return;
  sheet.parentElement.style.width = `${wide(640, SIDES[0])}px`;
  sheet.alt = `Image ${centre()} in the middle of its neighbours`;
  $("variations-seed").value = centre();
  $("variations-radius").value = view.radius;
  fetchSheet();
}

sliderField("variations-radius", "radius");
seedField("variations-seed", "of");
