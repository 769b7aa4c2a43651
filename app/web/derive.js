/* Recipes from recipes: points between pictures, near them, and sums of them. */

import { conditionOf, fieldsOfCondition } from "./conditions.js";
import * as latents from "./latents.js";
import { versionOf } from "./models.js";
import { makeRecipe } from "./recipe.js";

const ZERO = 1e-9; // smaller sums of means are rounding errors, as on the server

/** What a picture consists of: its latent and its condition, with everything applied. */
export function pointOf(recipe) {
  const version = versionOf(recipe);
  const directions = version.card.directions?.attributes ?? {};
  const edits = Object.entries(recipe.edit).map(([name, strength]) => [
    strength,
    directions[name].vector,
  ]);
  const terms = [[recipe.truncation, baseLatent(recipe)], ...edits];
  return { latent: latents.weightedSum(terms), condition: conditionOf(recipe, version) };
}

/** The latent of a recipe before truncation and edits. */
export function baseLatent(recipe) {
  const { latent } = versionOf(recipe).card;
  return latents.fromText(recipe.latent, latent.width) ?? latents.fromSeed(recipe.seed, latent);
}

/** A recipe of this latent, with the class or the attributes, the edit and so on of another one. */
export function withLatent(recipe, latent) {
  const version = versionOf(recipe);
  const condition = fieldsOfCondition(conditionOf(recipe, version), version);
  return makeRecipe({ ...recipe, ...condition, seed: 0, latent: latents.toText(latent) });
}

/** The recipe of a point, for the model version of `recipe`. */
function atPoint({ model, version }, { latent, condition }) {
  const fields = fieldsOfCondition(condition, versionOf({ model, version }));
  return makeRecipe({ model, version, ...fields, latent: latents.toText(latent) });
}

/** The straight line or, for normal latents, the arc between two points. */
function pointBetween(start, end, fraction, prior) {
  const between = prior === "normal" ? latents.slerp : latents.lerp;
  return {
    latent: between(start.latent, end.latent, fraction),
    condition: latents.lerp(start.condition, end.condition, fraction),
  };
}

const priorOf = (recipe) => versionOf(recipe).card.latent.prior;

/** The picture at a fraction of the way from one to another; itself at both ends. */
export function between(start, end, fraction) {
  if (fraction === 0) return start;
  if (fraction === 1) return end;
  const point = pointBetween(pointOf(start), pointOf(end), fraction, priorOf(start));
  return atPoint(start, point);
}

/** The picture at a place (0 to 1, from the left and from the top) between four corners. */
export function blend(corners, [x, y]) {
  const column = (top, bottom) => between(corners[top], corners[bottom], y);
  return between(column(0, 2), column(1, 3), x);
}

/** `count` relatives of a picture, each number of whose latent differs by at most `radius`. */
export function relatives(recipe, radius, count) {
  const centre = baseLatent(recipe);
  const isNormal = priorOf(recipe) === "normal";
  return Array.from({ length: count }, (_, k) => {
    const step = latents.noise(noiseSeed(recipe), k, centre.length);
    const moved = latents.weightedSum([[1, centre], [radius, step]]);
    // Normal latents have similar lengths; many steps must not lead far away from these.
    const scale = isNormal ? latents.length(centre) / (latents.length(moved) || 1) : 1;
    return withLatent(recipe, moved.map((number) => number * scale));
  });
}

/** The seed of the noise: the recipe's, or one that is made of the text of its latent. */
function noiseSeed({ seed, latent }) {
  const mix = (hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  return latent ? [...latent].reduce(mix, 0x811c9dc5) : seed;
}

/** The sum of the means of groups of recipes, minus the means of others. */
export function sumOfMeans(plus, minus) {
  const terms = (groups, sign) =>
    groups.flatMap((group) => group.map((one) => [sign / group.length, pointOf(one)]));
  const all = [...terms(plus, 1), ...terms(minus, -1)];
  const sum = (found, part) =>
    latents.weightedSum(found.map(([weight, point]) => [weight, point[part]]));
  let condition = sum(all, "condition");
  // Without a positive class, the classes of what is added are mixed.
  const isEmpty = !condition.some((weight) => weight >= ZERO);
  if (isEmpty) condition = sum(terms(plus, 1), "condition");
  return atPoint(plus[0][0], { latent: sum(all, "latent"), condition });
}
