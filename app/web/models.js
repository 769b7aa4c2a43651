/* The models in service, and the switch between them and their versions. */

import { askJson } from "./api.js";
import { $, make } from "./dom.js";
import { change, view } from "./view.js";

let served = { default: null, models: [] };

/** Asks what is served, once something is. */
export async function discover() {
  await askJson("health/ready");
  served = await askJson("models");
  $("model").replaceChildren(...served.models.map(({ name }) => make("option", {}, name)));
}

/** Makes the view one of a model that is there: shared addresses outlive models. */
export function settle() {
  const model = find(view.model) ?? find(served.default);
  const versions = model.versions.map(({ version }) => version);
  if (model.name !== view.model || !versions.includes(view.version)) {
    view.version = model.default_version;
  }
  view.model = model.name;
  const known = ([name]) => name in current().attributes;
  view.edit = Object.fromEntries(Object.entries(view.edit).filter(known));
  showSwitch(versions);
}

/** The version that draws: its image's size, its attributes, its card. */
export function current() {
  return find(view.model).versions.find(({ version }) => version === view.version);
}

/** The size of its images: `{ height, width, channels }`. */
export const size = () => current().card.image;

const find = (name) => served.models.find((model) => model.name === name);

function showSwitch(versions) {
  const options = versions.map((version) => make("option", {}, String(version)));
  $("version").replaceChildren(...options.reverse());
  $("version").value = view.version;
  $("model").value = view.model;
  const { card, provider } = current();
  const { height, width, channels } = card.image;
  $("card").textContent =
    `${width} × ${height} pixels, ${channels === 1 ? "grey" : "colour"}; ` +
    `learned from ${card.dataset.name}; drawn on ${provider}.`;
}

$("model").addEventListener("change", () => {
  const name = $("model").value;
  change({ model: name, version: find(name).default_version });
});
$("version").addEventListener("change", () => change({ version: Number($("version").value) }));
