/* The models on the server, and the one in use. */

import { requestJson } from "./api.js";
import { $, on } from "./dom.js";
import { fromText } from "./latents.js";
import { classParts, isSame, makeRecipe } from "./recipe.js";
import { LISTS, change, state } from "./state.js";

const FIRST = "faces"; // the model that the page opens with, if it is served
const DEVICES = { cpu: "the CPU", cuda: "the GPU (CUDA)", tensorrt: "the GPU (TensorRT)" };
let served = { default: null, models: [] };

/** Fetches the list of models; waits until the server has some. */
export async function fetchModels() {
  served = await requestJson("models");
  if (!served.models.length) {
    await requestJson("health/ready");
    served = await requestJson("models");
  }
  $("model").replaceChildren(...served.models.map(({ name }) => new Option(name)));
}

const find = (name) => served.models.find((model) => model.name === name);

/** A model version, as `GET /models` describes it. */
export const versionOf = ({ model, version }) =>
  find(model).versions.find((one) => one.version === version);

/** The model version on the stage. */
export const currentVersion = () => versionOf(state.stage);

/** The size of a recipe's picture: `{ height, width, channels }`. */
export const imageSize = (recipe = state.stage) => versionOf(recipe).card.image;

/** Replaces what is not served by what is: links outlive models. */
export function resolve(settled) {
  if (!settled) return;
  const model = find(state.stage.model) ?? find(FIRST) ?? find(served.default);
  const versions = model.versions.map(({ version }) => version);
  const known = model.name === state.stage.model && versions.includes(state.stage.version);
  const version = known ? state.stage.version : model.default_version;
  const resolved = (recipe) => resolvedRecipe({ ...recipe, model: model.name, version });
  state.stage = resolved(state.stage);
  for (const name of LISTS) state[name] = unique(state[name].map(resolved));
  state.rows &&= currentVersion().classes.length > 0;
  show(model, versions);
}

/** Recipes, each once. */
export const unique = (recipes) =>
  recipes.filter((one, k) => recipes.findIndex((other) => isSame(one, other)) === k);

/** A recipe without what its model version does not have. */
export function resolvedRecipe(recipe) {
  const { attributes, classes, condition_attributes: chosen, card } = versionOf(recipe);
  const only = (values, names) =>
    Object.fromEntries(Object.entries(values).filter(([name]) => names.includes(name)));
  const names = (found) => found.map(({ name }) => name);
  const isKnown = classParts(recipe.class).every(([name]) => names(classes).includes(name));
  return makeRecipe({
    ...recipe,
    latent: fromText(recipe.latent, card.latent.width) ? recipe.latent : "",
    class: isKnown ? recipe.class : "",
    attributes: only(recipe.attributes, names(chosen)),
    edit: only(recipe.edit, Object.keys(attributes)),
  });
}

function show({ name }, versions) {
  const shown = [...$("version").options].map(({ value }) => Number(value));
  if (String(shown) !== String(versions.toReversed())) {
    $("version").replaceChildren(...versions.toReversed().map((version) => new Option(version)));
  }
  $("version").value = state.stage.version;
  $("model").value = name;
  const { card, provider } = currentVersion();
  const { height, width, channels } = card.image;
  const { name: dataset, images } = card.dataset;
  const count = images ? ` (${images.toLocaleString("en")} pictures)` : "";
  $("card").textContent =
    `${width} × ${height} ${channels === 1 ? "grey" : "colour"} pictures. ` +
    `Trained on ${dataset}${count}. Runs on ${DEVICES[provider] ?? provider}.`;
}

/** For each model that can read pictures: its default version, or else its highest with an encoder. */
export const encodingVersions = () =>
  served.models.flatMap(({ name, default_version: first, versions }) => {
    const able = versions.filter(({ card }) => card.encoder).map(({ version }) => version);
    if (!able.length) return [];
    return [{ model: name, version: able.includes(first) ? first : Math.max(...able) }];
  });

/** Shows the same seed, or else the first one, of another model version. */
export function switchTo(model, version) {
  const { seed } = state.stage;
  const lists = Object.fromEntries(LISTS.map((name) => [name, []]));
  change({ ...lists, at: 0, scroll: 0, stage: makeRecipe({ model, version, seed }) });
}

on("model", "change", ({ target }) => switchTo(target.value, find(target.value).default_version));
on("version", "change", ({ target }) => switchTo(state.stage.model, Number(target.value)));
