/* Classes and attributes of pictures as numbers, the second input of a conditional network.

A seed has a class or attributes of its own, which the server finds in the same way. */

import { randomWord } from "./latents.js";
import { classParts, mixture } from "./recipe.js";

const CONDITION = 2n ** 30n; // the random word that decides the class or the attributes of a seed
const MAX_MIXED = 16; // classes in a mixture: the limit of the server
const LEAST = 0.005; // a smaller share of a class is not visible

const numberOf = (seed) => Number(randomWord(seed, CONDITION) >> 11n) / 2 ** 53;

/** The class of a seed; "" if the model has none. */
function ownClass(seed, classes) {
  let total = 0;
  const bounds = classes.map(({ share }) => (total += share));
  const place = numberOf(seed) * total;
  return classes[bounds.findIndex((bound) => bound > place)]?.name ?? "";
}

/** The attributes of a seed: 0 or 1 each, those of a training image. */
function ownAttributes(seed, { attributes, patterns }) {
  const pattern = BigInt(`0x${patterns[Math.floor(numberOf(seed) * patterns.length)]}`);
  return attributes.map((_, bit) => Number((pattern >> BigInt(bit)) & 1n));
}

/** `amounts` by name in place of `own`; what an attribute excludes is cleared. */
function changedAttributes(own, attributes, amounts) {
  const present = attributes.filter(({ name }) => amounts[name]);
  const excluded = new Set(present.flatMap(({ excludes }) => excludes));
  return attributes.map(({ name }, k) => amounts[name] ?? (excluded.has(name) ? 0 : own[k]));
}

/** The condition of a recipe: weights of classes, or amounts of attributes; [] for neither. */
export function conditionOf(recipe, { classes, card }) {
  if (classes.length) {
    const parts = classParts(recipe.class || ownClass(recipe.seed, classes));
    const total = parts.reduce((sum, [, weight]) => sum + weight, 0);
    const weights = Object.fromEntries(parts);
    return classes.map(({ name }) => (weights[name] ?? 0) / total);
  }
  if (!card.attributes) return [];
  const own = ownAttributes(recipe.seed, card.attributes);
  return changedAttributes(own, card.attributes.attributes, recipe.attributes);
}

/** A condition as fields of a recipe. Negative weights of classes count as none. */
export function fieldsOfCondition(condition, { classes, card }) {
  if (classes.length) return { class: classText(condition, classes) };
  if (!card.attributes) return {};
  const clamp = (amount) => Number(Math.max(0, Math.min(amount, 1)).toFixed(2));
  const pairs = card.attributes.attributes.map(({ name }, k) => [name, clamp(condition[k])]);
  return { attributes: Object.fromEntries(pairs) };
}

function classText(weights, classes) {
  const total = weights.reduce((sum, weight) => sum + Math.max(0, weight), 0) || 1;
  const parts = classes.map(({ name }, k) => [name, weights[k] / total]);
  const seen = parts.filter(([, weight]) => weight > LEAST).sort(([, a], [, b]) => b - a);
  const rounded = ([name, weight]) => [name, Number(weight.toFixed(3))];
  return mixture(seen.slice(0, MAX_MIXED).map(rounded));
}
