/* Recipes to pictures: files, bitmaps, and many bitmaps from one sheet. */

import { jsonOptions, pathOf, request } from "./api.js";
import { pointOf } from "./derive.js";
import { infer } from "./infer.js";
import { imageSize, versionOf } from "./models.js";
import { attributesText, editText, keyOf } from "./recipe.js";
import { conditionOf, fieldsOfCondition } from "./conditions.js";

const COLUMNS = 8; // of a sheet
let most = 64; // images in one request

/** The number of images that every server allows in one request. */
export const FEW = 16;

/** The options of a recipe as parameters of the API. */
export const optionsOf = (recipe) => ({
  class: recipe.class,
  attributes: attributesText(recipe.attributes),
  edit: editText(recipe.edit),
  truncation: recipe.truncation === 1 ? "" : recipe.truncation,
});

/** The path of the picture of a seed. */
export const imagePath = (recipe, scale = "") =>
  pathOf(`images/${recipe.model}/${recipe.version}/${recipe.seed}.png`, {
    ...optionsOf(recipe),
    scale,
  });

/** What pictures of one model version consist of, in the notation of the API. */
function bodyOf(recipes) {
  const points = recipes.map(pointOf);
  const fields = points.map(({ condition }) => fieldsOfCondition(condition, versionOf(recipes[0])));
  const body = { latents: points.map(({ latent }) => latent.map((one) => Number(one.toFixed(4)))) };
  if (fields[0].class) body.class = fields.map((one) => one.class).join(",");
  if (fields[0].attributes) body.attributes = fields[0].attributes;
  return body;
}

/** The request that draws pictures of one model version: `{ path, options }` for `fetch`. */
export function latentsRequest(recipes, parameters = {}) {
  const { model, version } = recipes[0];
  const path = pathOf("generate", { model, version, ...parameters });
  return { path, options: jsonOptions(bodyOf(recipes), "image/png") };
}

/** Whether one request can draw these pictures: all have the same attributes. */
const haveSameAttributes = (recipes) => new Set(recipes.map(attributesKey)).size === 1;

function attributesKey(recipe) {
  const version = versionOf(recipe);
  return version.card.attributes ? String(conditionOf(recipe, version)) : "";
}

/** The file of a picture, enlarged `scale` times. */
export async function fileOf(recipe, scale = "", signal = undefined) {
  if (!recipe.latent) return (await request(imagePath(recipe, scale), { signal })).blob();
  const { path, options } = latentsRequest([recipe], { scale });
  return (await request(path, { ...options, signal })).blob();
}

/** The bitmap of a picture. */
export const drawOne = async (recipe) => createImageBitmap(await fileOf(recipe));

/** The bitmaps of many pictures of one model version, from as few requests as possible. */
export async function drawAll(recipes, signal) {
  const bitmaps = [];
  for (const group of groups(recipes)) {
    // A sheet is smaller than its pixels, but all pictures on it have the same attributes.
    const draw = haveSameAttributes(group) ? drawSheet : infer;
    const drawn = await draw(group, signal).catch((error) => {
      if (error.status !== 422 || most === FEW) throw error;
      most = FEW;
      return null;
    });
    if (!drawn) return drawAll(recipes, signal);
    bitmaps.push(...drawn);
  }
  return bitmaps;
}

async function drawSheet(recipes, signal) {
  const { path, options } = latentsRequest(recipes, { columns: COLUMNS });
  const file = await (await request(path, { ...options, signal })).blob();
  return cut(file, recipes);
}

/** The bitmaps of pictures on a sheet, row by row. */
async function cut(file, recipes) {
  const sheet = await createImageBitmap(file);
  const { width, height } = imageSize(recipes[0]);
  const places = recipes.map((_, k) => [k % COLUMNS, Math.floor(k / COLUMNS)]);
  const bitmaps = await Promise.all(
    places.map(([x, y]) => createImageBitmap(sheet, x * width, y * height, width, height)),
  );
  sheet.close();
  return bitmaps;
}

/** Groups that are few enough for one request. */
const groups = (recipes) =>
  Array.from({ length: Math.ceil(recipes.length / most) }, (_, k) =>
    recipes.slice(k * most, (k + 1) * most),
  );

/** Shows the pictures of a sheet on canvases, row by row, without a copy of each. */
export async function showSheet(canvases, file, columns) {
  const sheet = await createImageBitmap(file);
  const { width, height } = imageSize();
  canvases.forEach((canvas, k) => {
    Object.assign(canvas, { width, height });
    const [x, y] = [k % columns, Math.floor(k / columns)];
    canvas.getContext("2d").drawImage(sheet, -x * width, -y * height);
  });
  sheet.close();
}

/** Shows a bitmap on a canvas, which takes its size. */
export function show(canvas, bitmap) {
  const { width, height } = bitmap;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

/** Empties a canvas whose picture has been replaced by one that cannot be drawn. */
export function erase(canvas) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

/** Shows a bitmap that is not needed afterwards. */
export function showOnce(canvas, bitmap) {
  show(canvas, bitmap);
  bitmap.close();
}

const thumbnails = new WeakMap(); // canvas → key of the picture that it shows or loads

/** Shows a picture on a small canvas. */
export async function showThumbnail(canvas, recipe) {
  const key = keyOf(recipe);
  if (thumbnails.get(canvas) === key) return;
  thumbnails.set(canvas, key);
  try {
    const bitmap = await drawOne(recipe);
    if (thumbnails.get(canvas) === key) showOnce(canvas, bitmap);
  } catch (error) {
    thumbnails.delete(canvas);
    throw error;
  }
}
