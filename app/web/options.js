/* Options of every picture on the page: truncation, size and attributes. */

import { checkChip, makeChips } from "./chips.js";
import { $, make, on } from "./dom.js";
import { currentVersion } from "./models.js";
import { bindSlider, change, view } from "./view.js";

const MAX_STRENGTH = 5;
const POSITIONS = [["", "any"], ["1", "yes"], ["0", "no"]];
let shown = null; // the model version that the sliders belong to

export function render() {
  $("truncation").value = view.truncation;
  $("truncation").nextElementSibling.textContent = view.truncation;
  $("scale").value = view.scale;
  if (shown !== currentVersion()) buildSliders();
  for (const chips of $("switches").children) {
    checkChip(chips, String(view.attributes[chips.name] ?? ""));
  }
  for (const input of $("edits-list").querySelectorAll("input")) {
    const strength = view.edit[input.name] ?? 0;
    if (Number(input.value) !== strength) input.value = strength;
    showStrength(input, strength);
  }
  const changed = Object.values(view.edit).some(Boolean) || Object.keys(view.attributes).length;
  $("edits-reset").disabled = !changed;
}

function buildSliders() {
  shown = currentVersion();
  const attributes = Object.entries(shown.attributes);
  const chosen = shown.condition_attributes;
  $("edits").hidden = attributes.length + chosen.length === 0;
  $("edits").open = matchMedia("(min-width: 60rem)").matches;
  $("edits-list").replaceChildren(...attributes.map(slider));
  $("switches").replaceChildren(...chosen.map(makeSwitch));
}

/** A switch with three positions: as the seed has it, present, absent. */
function makeSwitch({ name, excludes }) {
  const choose = (value) => {
    const attributes = { ...view.attributes, [name]: Number(value) };
    if (value === "") delete attributes[name];
    for (const other of value === "1" ? excludes : []) {
      // Nobody has both.
      if (attributes[other]) delete attributes[other];
    }
    change({ attributes });
  };
  const chips = makeChips(`has-${name}`, name.replaceAll("_", " "), POSITIONS, choose);
  chips.name = name;
  return chips;
}

function slider([name, { gained }]) {
  const label = name.replaceAll("_", " ");
  const output = make("output", { "aria-hidden": "true" });
  const input = make("input", {
    type: "range",
    name,
    min: -MAX_STRENGTH,
    max: MAX_STRENGTH,
    step: 0.25,
    title: `+2 adds ${label} to ${Math.round(100 * gained)}% of the pictures that lack it`,
  });
  bindSlider(input, (strength) => ({ edit: { ...view.edit, [name]: strength } }));
  return make("label", {}, label, input, output);
}

function showStrength(input, strength) {
  const text = strength > 0 ? `+${strength}` : `${strength}`.replace("-", "−");
  input.nextElementSibling.textContent = strength ? text : "";
  input.ariaValueText = strength ? text : "unchanged";
}

bindSlider($("truncation"), (truncation) => ({ truncation }));
$("scale").append(
  new Option("Auto", 0),
  ...Array.from({ length: 8 }, (_, k) => new Option(`${k + 1} ×`, k + 1)),
);
on("scale", "change", () => change({ scale: Number($("scale").value) }));
on("edits-reset", "click", () => change({ edit: {}, attributes: {} }));
