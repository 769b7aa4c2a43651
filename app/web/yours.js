/* Yours: the recipe whose picture looks most like one that a person brings or draws.

The tool opens on an example, for which the server does not search: it costs three images. */

import { coalesce, pathOf, request } from "./api.js";
import { $, make, on } from "./dom.js";
import { drawOne, fileOf, showOnce } from "./draw.js";
import { examples } from "./examples.js";
import { bindFiles } from "./files.js";
import { toText } from "./latents.js";
import { currentVersion, encodingVersions, imageSize, switchTo, versionOf } from "./models.js";
import { words } from "./names.js";
import { RequestError, showError } from "./notice.js";
import { bindPad, bitmapOf, clear, drawing, hasPen, isEmpty, showPicture } from "./pad.js";
import { isPinned, togglePin } from "./pins.js";
import { makeRecipe } from "./recipe.js";
import { change, state } from "./state.js";
import { showResult } from "./tiles.js";

const STEPS = 10; // of the server's search; more of them gain little
const LEAST = 0.1; // the probability of a class that is worth a word
const MOST = 4; // classes or attributes that are named
let shown = null; // the model version that the pad belongs to
let brought = null; // `{ file, isExample }` for the file on the pad; null once it is drawn on
let invert = "auto"; // whether that file is a dark drawing on light paper
let isInverted = false; // what the server has decided, or the person since then
let isDue = false; // whether the pad still waits for its result
let tile = null; // the result

export function render() {
  if (state.tool !== "yours") return;
  if (shown !== currentVersion()) reset();
  else if (isDue) encodeLatest();
  if (!tile) return;
  showResult($("yours-result"), tile.recipe);
  $("yours-pin").textContent = isPinned(tile.recipe) ? "Unpin it" : "Pin it";
}

/** Empties the pad for another model version, which gets the brought file or an example. */
function reset() {
  shown = currentVersion();
  invert = "auto";
  const { encoder } = shown.card;
  $("yours-main").hidden = !encoder;
  $("yours-others").hidden = Boolean(encoder);
  $("yours-start").textContent = encoder && hasPen() ? "Draw on the pad, or drop" : "Drop";
  hideResult();
  clear();
  if (!encoder) offerModels();
  else if (brought && !brought.isExample) encodeLatest();
  else showExample();
}

/** Brings a picture of the model itself, unless the person is faster. */
async function showExample() {
  const version = shown;
  brought = null;
  const file = await fileOf(examples()[0]).catch(showError);
  if (file && version === shown && !brought && isEmpty()) put(file, true);
}

/** Says which models have an encoder, with a button for each. */
function offerModels() {
  const found = encodingVersions();
  $("yours-others").firstElementChild.textContent = found.length
    ? "This model cannot read pictures. These can:"
    : "No model on this server can read pictures yet.";
  const buttons = found.map(({ model, version }) => {
    const label = model === state.stage.model ? `Version ${version}` : model;
    const button = make("button", {}, label);
    button.addEventListener("click", () => switchTo(model, version));
    return button;
  });
  $("yours-models").replaceChildren(...buttons);
}

const encodeLatest = coalesce(
  () =>
    encodePad().catch((error) => {
      if (!brought) hideResult(); // it is that of an earlier drawing
      throw error;
    }),
  $("yours"),
);

/** Shows what the server finds for the pad, or for the file that goes there with the answer. */
async function encodePad() {
  isDue = shown !== currentVersion(); // until the tool is open with this pad
  if (isDue) return;
  const latest = brought;
  const { file, isExample } = latest ?? {};
  $("yours-invert").disabled = !file;
  if (!file && isEmpty()) return hideResult();
  const { model, version } = state.stage;
  const found = await encode(file ?? (await drawing()), {
    model,
    version,
    invert: file ? invert : "false", // the pen is white on black, as the model's pictures are
    refine: isExample ? 0 : STEPS,
  });
  const recipe = recipeOf(found, { model, version });
  const [picture, result] = await Promise.all([
    file ? readable(file, recipe, found.inverted) : null,
    drawOne(recipe),
  ]);
  // Meanwhile there may be something else on the pad, or nothing, or another model on the stage.
  isDue = shown !== currentVersion();
  if (isDue || versionOf(recipe) !== shown || brought !== latest) {
    picture?.close();
    result.close();
    return;
  }
  isInverted = found.inverted;
  if (picture) showPicture(picture, isExample);
  showFound(recipe, result, found.probabilities, isExample);
}

/** What the server finds for a picture. */
async function encode(file, parameters) {
  const headers = { "Content-Type": file.type };
  const options = { method: "POST", headers, body: file };
  const response = await request(pathOf("encode", parameters), options);
  const { images } = await response.json();
  return images[0];
}

/** The bitmap of a file for the pad. Throws RequestError if the browser cannot read it. */
const readable = (file, recipe, isInverted) =>
  bitmapOf(file, imageSize(recipe), isInverted).catch(() => {
    throw new RequestError("This browser cannot show that picture.");
  });

const recipeOf = (found, { model, version }) =>
  makeRecipe({
    model,
    version,
    latent: toText(found.latent),
    class: found.class ?? "",
    attributes: found.attributes ?? {},
  });

function showFound(recipe, bitmap, probabilities, isExample) {
  tile = showResult($("yours-result"), recipe);
  showOnce(tile.canvas, bitmap);
  const text = described(probabilities ?? {});
  $("yours-found").textContent = isExample ? `An example. ${text}` : text;
  setResultHidden(false);
  render();
}

function hideResult() {
  $("yours-found").textContent = "";
  setResultHidden(true);
}

function setResultHidden(hidden) {
  $("yours-hint").hidden = !hidden;
  for (const id of ["yours-result", "yours-acts"]) $(id).hidden = hidden;
}

/** Probable classes or attributes in words, such as `Looks like: 7 (84%), 9 (15%)`. */
function described(probabilities) {
  const named = Object.entries(probabilities)
    .filter(([, probability]) => probability >= LEAST)
    .sort(([, a], [, b]) => b - a)
    .slice(0, MOST)
    .map(([name, probability]) => `${words(name)} (${Math.round(100 * probability)}%)`);
  return named.length ? `Looks like: ${named.join(", ")}` : "The most similar picture";
}

/** Puts a file on the pad. */
function put(file, isExample) {
  brought = { file, isExample };
  invert = "auto";
  if (shown?.card.encoder) encodeLatest(); // or else once the tool is open
}

function bring(file) {
  put(file, false);
  change({ tool: "yours" });
}

bindFiles($("yours-pad"), bring);
on("yours-example", "click", showExample);
const forget = () => {
  brought = null;
};
bindPad(forget, () => {
  forget();
  encodeLatest();
});
on("yours-invert", "click", () => {
  isInverted = !isInverted;
  invert = String(isInverted);
  encodeLatest();
});
on("yours-edit", "click", () => change({ stage: tile.recipe, tool: "edit" }));
on("yours-pin", "click", () => togglePin(tile.recipe));
