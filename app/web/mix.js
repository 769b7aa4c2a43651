/* Sums of pictures: the mean of some, minus that of others, plus that of more. */

import { coalesce } from "./api.js";
import { sumOfMeans } from "./derive.js";
import { $ } from "./dom.js";
import { makeDropTarget } from "./drag.js";
import { drawOne, erase, showOnce } from "./draw.js";
import { currentVersion } from "./models.js";
import { showMessage } from "./notice.js";
import { isSame, makeRecipe, plain } from "./recipe.js";
import { MAX_PICTURES, change, state } from "./state.js";
import { fillThumbnails, makeThumbnail } from "./thumbnails.js";
import { showResult } from "./tiles.js";

const EXAMPLE = [27, 8]; // seeds
const BOXES = ["start", "minus", "plus"];
let tile = null; // the result
let shown = null; // the recipe of its picture

/** The pictures in the boxes; while all are empty, an example. */
function boxes() {
  const filled = BOXES.map((name) => state[name]);
  return filled.some((list) => list.length) ? filled : example();
}

/** What an edit adds to one picture, added to another; without edits, a sum of three pictures. */
function example() {
  const [one, other] = EXAMPLE.map((seed) => plain(state.stage, seed));
  const { attributes, classes, condition_attributes: chosen } = currentVersion();
  const [attribute] = Object.keys(attributes);
  const [name, another] = classes.map((found) => found.name);
  if (chosen.length) {
    const having = (amount) =>
      makeRecipe({ ...one, attributes: { [chosen[0].name]: amount } });
    return [[having(1)], [having(0)], [other]];
  }
  if (attribute) return [[makeRecipe({ ...one, edit: { [attribute]: 2 } })], [one], [other]];
  if (!another) return [[one], [plain(one, 2)], [other]];
  const of = (recipe, kind) => [makeRecipe({ ...recipe, class: kind })];
  return [of(one, name), of(one, another), of(other, another)];
}

/** The recipe of the result; undefined while nothing is added. */
function result() {
  const [start, minus, plus] = boxes();
  const groups = (...lists) => lists.filter((list) => list.length);
  const added = groups(start, plus);
  return added.length ? sumOfMeans(added, groups(minus)) : undefined;
}

const drawLatest = coalesce(async () => {
  const recipe = result();
  if (!recipe || state.tool !== "mix") return;
  if (shown && isSame(shown, recipe)) return;
  const bitmap = await drawOne(recipe).catch((error) => {
    erase(tile.canvas); // of another sum
    shown = null;
    throw error;
  });
  showOnce(tile.canvas, bitmap);
  shown = recipe;
}, $("mix"));

export function render(settled) {
  if (!settled || state.tool !== "mix") return;
  boxes().forEach((recipes, k) => fill(BOXES[k], recipes));
  const recipe = result();
  $("mix-empty").hidden = Boolean(recipe);
  $("mix-whole").hidden = !recipe;
  if (!recipe) return;
  tile = showResult($("mix-result"), recipe);
  drawLatest();
}

const boxOf = (name) => document.querySelector(`.box[data-name=${name}]`);

function fill(name, recipes) {
  const box = boxOf(name);
  const label = (text) => `Remove picture ${text} from “${box.ariaLabel}”`;
  fillThumbnails(box.querySelector(".list"), recipes, (recipe) =>
    makeThumbnail(recipe, label, () => remove(name, recipe)),
  );
}

/** The boxes with one of them changed; an example becomes what is in them. */
function changed(name, changeOne) {
  const lists = Object.fromEntries(boxes().map((list, k) => [BOXES[k], list]));
  return { ...lists, [name]: changeOne(lists[name]) };
}

const remove = (name, recipe) =>
  change(changed(name, (list) => list.filter((one) => !isSame(one, recipe))));

function add(name, recipe) {
  const lists = changed(name, (list) => [
    ...list.filter((one) => !isSame(one, recipe)),
    recipe,
  ]);
  if (lists[name].length <= MAX_PICTURES) change(lists);
  else showMessage(`“${boxOf(name).ariaLabel}” takes up to ${MAX_PICTURES} pictures.`);
}

for (const name of BOXES) {
  makeDropTarget(boxOf(name), (recipe) => add(name, recipe));
  boxOf(name).querySelector(".add").addEventListener("click", () => add(name, state.stage));
}
