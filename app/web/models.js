/* The models in service, and the switch between them and their versions. */

import { askJson } from "./api.js";
import { $, on } from "./dom.js";
import { change, view } from "./view.js";

let served = { default: null, models: [] };

/** Asks what is served, once something is. */
export async function discover() {
  await askJson("health/ready");
  served = await askJson("models");
  $("model").replaceChildren(...served.models.map(({ name }) => new Option(name)));
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

/** How wide `count` images side by side are, in so much room: whole screen pixels for each pixel. */
export function wide(room, count = 1) {
  const pixels = size().width * count;
  const chosen = count === 1 && view.scale; // sheets are as large as they can be
  return pixels * (chosen || Math.max(1, Math.floor(room / pixels)));
}

/** Makes a canvas one for its images, to be shown in so much room. */
export function fit(canvas, room) {
  const { width, height } = size();
  canvas.style.width = `${wide(room)}px`;
  // To set the size of a canvas clears it.
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}

const find = (name) => served.models.find((model) => model.name === name);

function showSwitch(versions) {
  const options = versions.map((version) => new Option(version));
  $("version").replaceChildren(...options.reverse());
  $("version").value = view.version;
  $("model").value = view.model;
  const { card, provider } = current();
  const { height, width, channels } = card.image;
  $("card").textContent =
    `${width} × ${height} pixels, ${channels === 1 ? "grey" : "colour"}; ` +
    `learned from ${card.dataset.name}; drawn on ${provider}.`;
}

on("model", "change", () => {
  const name = $("model").value;
  change({ model: name, version: find(name).default_version });
});
on("version", "change", () => change({ version: Number($("version").value) }));
