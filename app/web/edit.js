/* Edits of the picture on the stage: its attributes and its variety. */

import { conditionOf } from "./conditions.js";
import { $, make, on } from "./dom.js";
import { currentVersion } from "./models.js";
import { signed, words } from "./names.js";
import { isSame, makeRecipe } from "./recipe.js";
import { bindReset, bindSlider } from "./sliders.js";
import { change, state, toStage } from "./state.js";

const MAX = 3; // strength at the ends of a slider
const RESET = "Double-click to reset.";
let shown = null; // the model version that the sliders belong to

export function render() {
  if (shown !== currentVersion()) build();
  const { edit, truncation } = state.stage;
  for (const input of $("sliders").querySelectorAll("[name]")) {
    if (input.name in shown.attributes) showStrength(input, edit[input.name] ?? 0);
    else showAmount(input);
  }
  $("truncation").value = truncation;
  $("truncation").nextElementSibling.textContent = truncation;
  $("apply").checked = state.apply;
  $("edit-reset").disabled = isSame(state.stage, unedited());
}

function build() {
  shown = currentVersion();
  const amounts = shown.condition_attributes.map(({ name }) => [name, makeAmount]);
  const strengths = (isNumbered) =>
    Object.entries(shown.attributes)
      .filter(([, { gained }]) => (gained === null) === isNumbered)
      .map(([name]) => [name, makeStrength]);
  const named = groups([...amounts, ...strengths(false)]);
  const numbered = strengths(true);
  $("sliders").replaceChildren(
    ...named.map(([word, members]) => makeGroup(word || "attributes", members, word)),
    ...(numbered.length ? [makeGroup("directions", numbered)] : []),
  );
}

/** Attributes by the last word of their names, if several have it: `[word, attributes]`. */
function groups(attributes) {
  const lastWord = ([name]) => name.split("_").at(-1);
  const counts = countBy(attributes.map(lastWord));
  const found = new Map([["", []]]);
  for (const attribute of attributes) {
    const word = counts.get(lastWord(attribute)) > 1 ? lastWord(attribute) : "";
    found.set(word, [...(found.get(word) ?? []), attribute]);
  }
  return [...found].filter(([, members]) => members.length);
}

function countBy(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Sliders under a title; `word` is left out of their labels. */
const makeGroup = (title, members, word = "") =>
  make(
    "fieldset",
    {},
    make("legend", {}, title[0].toUpperCase() + title.slice(1)),
    ...members.map(([name, makeInput]) => labelled(makeInput(name), words(name), word)),
  );

/** A slider with its label, which leaves out the word of its group. */
function labelled(input, label, word) {
  input.ariaLabel = label;
  const short = word ? label.slice(0, -word.length - 1) : label;
  const output = make("output", { "aria-hidden": "true" });
  return make("label", { className: "strength" }, make("span", {}, short), input, output);
}

/** A slider for the strength of an edit. */
function makeStrength(name) {
  const range = { type: "range", name, min: -MAX, max: MAX, step: 0.1 };
  const input = make("input", { ...range, className: "centred" });
  const { gained } = shown.attributes[name];
  const share = `${Math.round(100 * gained)}%`;
  input.title =
    gained === null
      ? `Found without labels: try what it changes. ${RESET}`
      : `+2 adds ${words(name)} to ${share} of the pictures that lack it. ${RESET}`;
  bindSlider(input, (strength) => ({ stage: withEdit(name, strength) }));
  bindReset(input, 0);
  return input;
}

/** A slider for an attribute that the network takes: from absent to present. */
function makeAmount(name) {
  const input = make("input", { type: "range", name, min: 0, max: 1, step: 0.01, title: RESET });
  bindSlider(input, (amount) => ({ stage: withAmount(name, amount) }));
  input.addEventListener("dblclick", () => {
    const { [name]: _, ...others } = state.stage.attributes;
    if (!state.stage.latent) toStage(makeRecipe({ ...state.stage, attributes: others }));
  });
  return input;
}

const withEdit = (name, strength) =>
  makeRecipe({ ...state.stage, edit: { ...state.stage.edit, [name]: strength } });

function showStrength(input, strength) {
  if (Number(input.value) !== strength) input.value = strength;
  const text = strength ? signed(strength) : "";
  input.nextElementSibling.textContent = text;
  input.ariaValueText = text || "unchanged";
}

/** The picture with this amount of an attribute, and without what it excludes. */
function withAmount(name, amount) {
  const { excludes } = shown.condition_attributes.find((one) => one.name === name);
  const attributes = { ...state.stage.attributes, [name]: amount };
  // Nobody has both.
  for (const other of amount ? excludes : []) {
    if (state.stage.latent) attributes[other] = 0; // no seed gives it an amount
    else if (attributes[other]) delete attributes[other];
  }
  return makeRecipe({ ...state.stage, attributes });
}

function showAmount(input) {
  const { name } = input;
  const names = shown.condition_attributes.map((one) => one.name);
  const amount = conditionOf(state.stage, shown)[names.indexOf(name)];
  const text = `${Math.round(100 * amount)}%`;
  const isChosen = name in state.stage.attributes;
  if (Number(input.value) !== amount) input.value = amount;
  input.nextElementSibling.textContent = text;
  input.nextElementSibling.classList.toggle("chosen", isChosen);
  input.ariaValueText = isChosen ? text : `${text}, as the seed has it`;
}

/** The picture without edits. If it is made of others, it keeps the attributes of these. */
function unedited() {
  const { attributes, latent } = state.stage;
  const kept = latent ? attributes : {};
  return makeRecipe({ ...state.stage, edit: {}, truncation: 1, attributes: kept });
}

bindSlider($("truncation"), (truncation) => ({
  stage: makeRecipe({ ...state.stage, truncation }),
}));
bindReset($("truncation"), 1);
on("edit-reset", "click", () => toStage(unedited()));
on("apply", "change", ({ target }) => change({ apply: target.checked }));
