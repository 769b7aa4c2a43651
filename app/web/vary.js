/* Pictures near that on the stage. A click on one goes on from it, and Back returns. */

import { coalesce } from "./api.js";
import { relatives } from "./derive.js";
import { $ } from "./dom.js";
import { drawAll, showOnce } from "./draw.js";
import { keyOf } from "./recipe.js";
import { bindSlider } from "./sliders.js";
import { state } from "./state.js";
import { bindTiles, enableTab, makeTile, setRecipe, tilesIn } from "./tiles.js";

const SIDE = 5; // pictures; the one in the middle is on the stage
const MIDDLE = (SIDE * SIDE - 1) / 2;
const list = $("vary-tiles");
let shown = ""; // what the pictures are of

const key = () => [keyOf(state.stage), state.radius].join();

const drawLatest = coalesce(async () => {
  const wanted = key();
  if (state.tool !== "vary" || shown === wanted) return;
  const bitmaps = await drawAll(tilesIn(list).map((tile) => tile.recipe));
  bitmaps.forEach((bitmap, k) => showOnce(tilesIn(list)[k].canvas, bitmap));
  shown = wanted;
}, $("vary"));

export function render(settled) {
  if (state.tool !== "vary") return;
  $("vary-radius").value = state.radius;
  $("vary-radius").nextElementSibling.textContent = state.radius;
  if (!settled) return;
  if (shown !== key()) setRecipes();
  for (const tile of tilesIn(list)) setRecipe(tile, tile.recipe);
  drawLatest();
}

function setRecipes() {
  const recipes = relatives(state.stage, state.radius, SIDE * SIDE - 1);
  recipes.splice(MIDDLE, 0, state.stage);
  if (!list.childElementCount) list.append(...recipes.map(makeTile));
  tilesIn(list).forEach((tile, k) => setRecipe(tile, recipes[k]));
  enableTab(list);
}

bindTiles(list, () => SIDE);
bindSlider($("vary-radius"), (radius) => ({ radius }));
