/* The names of pictures: for screen readers, titles, captions and files. */

import { conditionOf } from "./conditions.js";
import { versionOf } from "./models.js";
import { makeRecipe, textOf } from "./recipe.js";

/** A strength with its sign, such as +2 or −1.5. */
export const signed = (strength) =>
  strength > 0 ? `+${strength}` : String(strength).replace("-", "−");

/** Words for people in place of a name in a card: `long hair`. */
export const words = (name) => name.replaceAll("_", " ");

/** The class of a picture in words, such as `70% sneaker, 30% bag`; "" if the model has none. */
function className(recipe) {
  const version = versionOf(recipe);
  if (!version.classes.length) return "";
  const weights = conditionOf(recipe, version);
  const parts = version.classes.map(({ name }, k) => [name, weights[k]]);
  const seen = parts.filter(([, weight]) => weight).sort(([, a], [, b]) => b - a);
  if (seen.length === 1) return seen[0][0];
  return seen.map(([name, weight]) => `${Math.round(100 * weight)}% ${name}`).join(", ");
}

/** The seed of a picture, or words for one that has none. */
const source = ({ seed, latent }) => (latent ? "without a seed" : String(seed));

/** The name of a picture: its seed, class, attributes and edits, such as `42 (bag), beard +2`. */
export const nameOf = (recipe) => named(recipe, recipe.latent ? [] : chosenAttributes(recipe));

/** The name with all attributes in sight, chosen or not: for people who do not see the picture. */
export const description = (recipe) => named(recipe, attributesInSight(recipe));

function named(recipe, attributes) {
  const kind = className(recipe);
  const edits = Object.entries(recipe.edit).filter(([, strength]) => strength);
  const parts = [
    kind ? `${source(recipe)} (${kind})` : source(recipe),
    ...attributes,
    ...edits.map(([name, strength]) => `${words(name)} ${signed(strength)}`),
  ];
  return parts.join(", ");
}

function attributesInSight(recipe) {
  const version = versionOf(recipe);
  const names = version.condition_attributes.map(({ name }) => words(name));
  const amounts = conditionOf(recipe, version);
  return names.filter((_, k) => amounts[k] >= 0.5);
}

const chosenAttributes = ({ attributes }) =>
  Object.entries(attributes).map(([name, amount]) => {
    const part = { 0: "without", 1: "with" }[amount] ?? `${Math.round(100 * amount)}%`;
    return `${part} ${words(name)}`;
  });

/** The name of a file of a picture, without its ending. */
export function fileName(recipe) {
  // Without a seed, all attributes are in the recipe: too many for a name.
  const named = recipe.latent ? makeRecipe({ ...recipe, attributes: {} }) : recipe;
  const text = textOf(named).replace(/^@.*?(;|$)/, "latent$1");
  return [recipe.model, recipe.version, ...text.split(";")].join("-").replace(/[^\w.-]+/g, "-");
}
