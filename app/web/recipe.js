/* Recipes: everything that determines one picture. All parts of the page exchange recipes.

A recipe is frozen: { model, version, seed, latent, class, attributes, edit, truncation }. It has a
seed, or else a latent as text (see latents.js). As text, a recipe is `42;edit=glasses:2`. */

export const SEED_COUNT = 2 ** 32;
const MAX_STRENGTH = 5; // of an edit: the limit of the server
const NAME = String.raw`[a-z\d][\w-]*`;
const PART = new RegExp(String.raw`^(${NAME})(?::(\d(?:\.\d+)?))?$`);
const ATTRIBUTE = /^(-?)([a-z]\w*)(?::([01](?:\.\d+)?))?$/;
const DEFAULTS = { seed: 0, latent: "", class: "", attributes: {}, edit: {}, truncation: 1 };

/** A recipe with these fields; others have their defaults. */
export const makeRecipe = (fields) => Object.freeze({ ...DEFAULTS, ...fields });

/** The recipe of a seed without anything else, of the same model version. */
export const plain = ({ model, version }, seed) => makeRecipe({ model, version, seed });

export const randomSeed = () => Math.floor(Math.random() * SEED_COUNT);

/** An edit in the API's notation, such as `beard:-1.5,glasses:2`. */
export const editText = (edit) =>
  sorted(edit)
    .filter(([, strength]) => strength)
    .map((pair) => pair.join(":"))
    .join(",");

/** Attributes in the API's notation, such as `-beard,glasses,smile:0.5`. */
export const attributesText = (attributes) =>
  sorted(attributes)
    .map(([name, amount]) => ({ 0: `-${name}`, 1: name })[amount] ?? `${name}:${amount}`)
    .join(",");

// Sorted by name: one edit has one URL, which caches recognise.
const sorted = (values) => Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));

/** The texts of the fields that differ from their defaults, beside model and version. */
export function fieldsOf(recipe) {
  const fields = {
    [recipe.latent ? "latent" : "seed"]: recipe.latent || String(recipe.seed),
    class: recipe.class,
    attributes: attributesText(recipe.attributes),
    edit: editText(recipe.edit),
    truncation: recipe.truncation === 1 ? "" : String(recipe.truncation),
  };
  return Object.entries(fields).filter(([, text]) => text);
}

/** A recipe as text, without model and version. */
export function textOf(recipe) {
  const [[, point], ...others] = fieldsOf(recipe);
  return [recipe.latent ? `@${point}` : point, ...others.map((pair) => pair.join("="))].join(";");
}

/** A recipe as text, with model and version: the same for the same picture. */
export const keyOf = (recipe) => `${recipe.model}/${recipe.version}/${textOf(recipe)}`;

export const isSame = (one, other) => keyOf(one) === keyOf(other);

/** The recipe in a text of `textOf`, for a model version; undefined if there is none. */
export function readRecipe(text, { model, version }) {
  const [point, ...others] = text.split(";");
  const fields = Object.fromEntries(others.map((one) => one.split("=", 2)));
  fields[point.startsWith("@") ? "latent" : "seed"] = point.replace("@", "");
  return readFields(fields, { model, version });
}

/** The recipe with these fields as text; invalid ones are left out. Undefined without a point. */
export function readFields(fields, { model, version }) {
  const point = readPoint(fields);
  if (!point) return undefined;
  return makeRecipe({
    model,
    version,
    ...point,
    class: readClass(fields.class ?? "") ?? "",
    attributes: readAttributes(fields.attributes ?? ""),
    edit: readEdit(fields.edit ?? ""),
    truncation: readTruncation(fields.truncation),
  });
}

function readPoint({ seed, latent }) {
  if (latent && /^[\w-]+$/.test(latent)) return { seed: 0, latent };
  return /^\d{1,10}$/.test(seed) && Number(seed) < SEED_COUNT ? { seed: Number(seed) } : undefined;
}

function readTruncation(text = "1") {
  const value = /^\d(\.\d+)?$/.test(text) ? Number(text) : 1;
  return value >= 0.1 && value <= 2 ? value : 1;
}

/** The classes in a text: `[name, weight]` each. A plus sign may have become a space. */
export const classParts = (text) =>
  text
    .split(/[+ ]/)
    .filter(Boolean)
    .map((part) => part.split(":"))
    .map(([name, weight = 1]) => [name, Number(weight)]);

/** The text of a mixture of classes, from `[name, weight]` each. */
export const mixture = (parts) =>
  parts.length === 1 ? parts[0][0] : parts.map((part) => part.join(":")).join("+");

/** A class or a mixture in this notation; undefined if the text is neither. */
function readClass(text) {
  const parts = classParts(text);
  const names = new Set(parts.map(([name]) => name));
  const isValid =
    text.split(/[+ ]/).every((part) => PART.test(part)) &&
    names.size === parts.length && // each class once
    parts.some(([, weight]) => weight > 0);
  return isValid ? text.replaceAll(" ", "+") : undefined;
}

function readAttributes(text) {
  const found = text.split(",").map((one) => ATTRIBUTE.exec(one));
  const amounts = found.filter(Boolean).map(([, minus, name, amount = 1]) => {
    return [name, minus ? 0 : Math.min(Number(amount), 1)];
  });
  return Object.fromEntries(amounts);
}

function readEdit(text) {
  const pairs = text.split(",").map((pair) => pair.split(":"));
  const valid = ([name, value]) =>
    /^[a-z]\w*$/.test(name) && value && Math.abs(value) <= MAX_STRENGTH;
  return Object.fromEntries(pairs.filter(valid).map(([name, value]) => [name, Number(value)]));
}
