/* Edits of the picture on the stage: attributes by sliders and switches, and its variety. */

import { checkChip, makeChips } from "./chips.js";
import { $, make, on } from "./dom.js";
import { currentVersion } from "./models.js";
import { signed, words } from "./names.js";
import { isSame, makeRecipe } from "./recipe.js";
import { bindReset, bindSlider } from "./sliders.js";
import { change, state, toStage } from "./state.js";

const MAX = 3; // strength at the ends of a slider
const POSITIONS = [["", "any"], ["1", "yes"], ["0", "no"]];
let shown = null; // the model version that the sliders belong to

export function render() {
  if (shown !== currentVersion()) build();
  const { attributes, edit, truncation } = state.stage;
  for (const chips of $("switches").children) checkChip(chips, switchValue(attributes[chips.name]));
  for (const input of $("sliders").querySelectorAll("input")) {
    showStrength(input, edit[input.name] ?? 0);
  }
  $("truncation").value = truncation;
  $("truncation").nextElementSibling.textContent = truncation;
  $("apply").checked = state.apply;
  $("edit-reset").disabled = isSame(state.stage, unedited());
}

const switchValue = (amount) => (amount === undefined ? "" : String(Math.round(amount)));

function build() {
  shown = currentVersion();
  const chosen = shown.condition_attributes;
  $("switches").replaceChildren(...chosen.map(makeSwitch));
  $("sliders").replaceChildren(...groups(Object.entries(shown.attributes)).map(makeGroup));
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

const makeGroup = ([word, members]) =>
  make(
    "fieldset",
    {},
    make("legend", {}, word ? word[0].toUpperCase() + word.slice(1) : "Attributes"),
    ...members.map((member) => makeSlider(member, word)),
  );

function makeSlider([name, { gained }], group) {
  const label = words(name);
  const output = make("output", { "aria-hidden": "true" });
  const range = { type: "range", name, min: -MAX, max: MAX, step: 0.1 };
  const input = make("input", { ...range, "aria-label": label });
  const share = `${Math.round(100 * gained)}%`;
  input.title = `+2 adds ${label} to ${share} of the pictures that lack it. Double-click to reset.`;
  bindSlider(input, (strength) => ({ stage: withEdit(name, strength) }));
  bindReset(input, 0);
  const short = group ? label.slice(0, -group.length - 1) : label;
  return make("label", { className: "strength" }, make("span", {}, short), input, output);
}

const withEdit = (name, strength) =>
  makeRecipe({ ...state.stage, edit: { ...state.stage.edit, [name]: strength } });

function showStrength(input, strength) {
  if (Number(input.value) !== strength) input.value = strength;
  const text = strength ? signed(strength) : "";
  input.nextElementSibling.textContent = text;
  input.ariaValueText = text || "unchanged";
}

/** A switch with three positions: as the seed has it, present, absent. */
function makeSwitch({ name, excludes }) {
  const choose = (value) => {
    const attributes = { ...state.stage.attributes, [name]: Number(value) };
    if (value === "") delete attributes[name];
    // Nobody has both.
    for (const other of value === "1" ? excludes : []) {
      if (attributes[other]) delete attributes[other];
    }
    toStage(makeRecipe({ ...state.stage, attributes }));
  };
  const chips = makeChips(`has-${name}`, words(name), POSITIONS, choose);
  chips.name = name;
  return chips;
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
