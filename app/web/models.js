/* The models on the server, the one in use, and the size of its pictures. */

import { requestJson } from "./api.js";
import { $, on } from "./dom.js";
import { classParts, makePicture, splitPicture } from "./picture.js";
import { change, view } from "./view.js";

const DEVICES = { cpu: "the CPU", cuda: "the GPU (CUDA)", tensorrt: "the GPU (TensorRT)" };
let served = { default: null, models: [] };

/** Fetches the list of models once the server is ready. */
export async function fetchModels() {
  await requestJson("health/ready");
  served = await requestJson("models");
  $("model").replaceChildren(...served.models.map(({ name }) => new Option(name)));
}

/** Replaces a model or version that is not served: links outlive models. */
export function resolveModel() {
  const model = find(view.model) ?? find(served.default);
  const versions = model.versions.map(({ version }) => version);
  if (model.name !== view.model || !versions.includes(view.version)) {
    view.version = model.default_version;
  }
  view.model = model.name;
  const { attributes, condition_attributes: chosen } = currentVersion();
  view.edit = only(view.edit, Object.keys(attributes));
  view.attributes = only(view.attributes, namesOf(chosen));
  resolveClasses(namesOf(currentVersion().classes));
  showModel(versions);
}

const only = (values, names) =>
  Object.fromEntries(Object.entries(values).filter(([name]) => names.includes(name)));
const namesOf = (list) => list.map(({ name }) => name);

/** Removes classes that the model does not have. */
function resolveClasses(names) {
  const known = (text) => (classParts(text).every(([name]) => names.includes(name)) ? text : "");
  const resolve = (picture) => {
    const { seed, ofClass } = splitPicture(picture);
    return makePicture(seed, known(ofClass));
  };
  view.class = known(view.class);
  view.rows = names.length ? view.rows : "";
  view.of = view.of && resolve(view.of);
  for (const list of ["pins", "start", "minus", "plus"]) {
    view[list] = [...new Set(view[list].map(resolve))];
  }
}

/** The model version in use, as `GET /models` describes it. */
export function currentVersion() {
  return find(view.model).versions.find(({ version }) => version === view.version);
}

/** The size of its pictures: `{ height, width, channels }`. */
export const imageSize = () => currentVersion().card.image;

/** The CSS width of `count` pictures side by side: an integer multiple that fits the room. */
export function displayWidth(room, count = 1) {
  const pixels = imageSize().width * count;
  const chosen = count === 1 && view.scale; // sheets use the room that there is
  return pixels * (chosen || Math.max(1, Math.floor(room / pixels)));
}

/** Sets the size of a canvas for one picture. */
export function fitCanvas(canvas, room) {
  const { width, height } = imageSize();
  canvas.style.width = `${displayWidth(room)}px`;
  // Setting the size of a canvas clears it.
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}

const find = (name) => served.models.find((model) => model.name === name);

function showModel(versions) {
  const options = versions.map((version) => new Option(version));
  $("version").replaceChildren(...options.reverse());
  $("version").value = view.version;
  $("model").value = view.model;
  const { card, provider } = currentVersion();
  const { height, width, channels } = card.image;
  const { name, images } = card.dataset;
  const count = images ? ` (${images.toLocaleString("en")} pictures)` : "";
  $("card").textContent =
    `${width} × ${height} ${channels === 1 ? "grey" : "colour"} pictures. ` +
    `Trained on ${name}${count}. Runs on ${DEVICES[provider] ?? provider}.`;
}

on("model", "change", () => {
  const name = $("model").value;
  change({ model: name, version: find(name).default_version });
});
on("version", "change", () => change({ version: Number($("version").value) }));
