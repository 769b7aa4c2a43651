/* Pictures near that on the stage. A click on one goes on from it, and Back returns. */

import { coalesce } from "./api.js";
import { relatives } from "./derive.js";
import { $ } from "./dom.js";
import { drawAll, showOnce } from "./draw.js";
import { currentVersion, versionOf } from "./models.js";
import { keyOf } from "./recipe.js";
import { bindReset, bindSlider } from "./sliders.js";
import { state } from "./state.js";
import { bindTiles, enableTab, makeTile, setRecipe, tilesIn } from "./tiles.js";

const SIDE = 5; // pictures; the one in the middle is on the stage
const MIDDLE = (SIDE * SIDE - 1) / 2;
const list = $("vary-tiles");
let shown = ""; // what the pictures are of
let model = null; // the model version of the tiles

const key = () => [keyOf(state.stage), state.radius].join();

const drawLatest = coalesce(async () => {
  const wanted = key();
  if (state.tool !== "vary" || shown === wanted) return;
  const recipes = around();
  const bitmaps = await drawAll(recipes);
  if (versionOf(recipes[0]) !== model) return bitmaps.forEach((bitmap) => bitmap.close());
  // Until here, a click shows the picture that is in sight.
  tilesIn(list).forEach((tile, k) => {
    setRecipe(tile, recipes[k]);
    showOnce(tile.canvas, bitmaps[k]);
  });
  shown = wanted;
}, $("vary"));

export function render(settled) {
  if (state.tool !== "vary") return;
  $("vary-radius").value = state.radius;
  $("vary-radius").nextElementSibling.textContent = state.radius;
  if (!settled) return;
  if (model !== currentVersion()) build();
  for (const tile of tilesIn(list)) setRecipe(tile, tile.recipe);
  drawLatest();
}

/** The recipe on the stage in the middle, and its relatives around it. */
function around() {
  const recipes = relatives(state.stage, state.radius, SIDE * SIDE - 1);
  return recipes.toSpliced(MIDDLE, 0, state.stage);
}

/** Makes the tiles of another model version, whose pictures follow. */
function build() {
  model = currentVersion();
  shown = "";
  list.replaceChildren(...around().map(makeTile));
  enableTab(list);
}

bindTiles(list, () => SIDE);
bindSlider($("vary-radius"), (radius) => ({ radius }));
bindReset($("vary-radius"), 0.5);
