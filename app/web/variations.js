/* One image amid its neighbours. */

import { drawingPath } from "./api.js";
import { $ } from "./dom.js";
import { crisp, loadFirst } from "./image.js";
import { size } from "./models.js";
import { latest } from "./pace.js";
import { SEEDS, change, view } from "./view.js";

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
  sheet.parentElement.style.width = `${crisp(size().width * SIDES[0], 640)}px`;
  sheet.alt = `Image ${centre()} in the middle of its neighbours`;
  $("variations-seed").value = centre();
  $("variations-radius").value = view.radius;
  fetchSheet();
}

const setRadius = (how) => change({ radius: Number($("variations-radius").value) }, how);

$("variations-radius").addEventListener("input", () => setRadius({ kept: false }));
$("variations-radius").addEventListener("change", () => setRadius());
$("variations-seed").addEventListener("change", (event) => {
  const { valueAsNumber: seed } = event.target;
  if (Number.isInteger(seed) && seed >= 0 && seed < SEEDS) change({ of: seed });
  else event.target.value = centre();
});
