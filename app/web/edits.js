/* Sliders for the attributes that the model knows. They edit whatever is drawn. */

import { $, make, on } from "./dom.js";
import { current } from "./models.js";
import { change, view } from "./view.js";

const STRONGEST = 5;
let shown = null;

/** Shows what the view says. */
export function render() {
  if (shown !== current()) build();
  for (const input of $("edits").querySelectorAll("input")) {
    const strength = view.edit[input.name] ?? 0;
    if (Number(input.value) !== strength) input.value = strength;
    tellStrength(input, strength);
  }
  $("edits-reset").disabled = !Object.values(view.edit).some(Boolean);
}

function build() {
  shown = current();
  const attributes = Object.entries(shown.attributes);
  $("edits").hidden = attributes.length === 0;
  $("edits").open = matchMedia("(min-width: 60rem)").matches;
  $("edits-list").replaceChildren(...attributes.map(slider));
}

function slider([name, { gained }]) {
  const words = name.replaceAll("_", " ");
  const output = make("output", { "aria-hidden": "true" });
  const input = make("input", {
    type: "range",
    name,
    min: -STRONGEST,
    max: STRONGEST,
    step: 0.25,
    title: `At 2, ${Math.round(100 * gained)}% of the images without ${words} gain it`,
  });
  input.addEventListener("input", () => edit(input, { kept: false }));
  input.addEventListener("change", () => edit(input));
  return make("label", {}, words, input, output);
}

function edit(input, how) {
  change({ edit: { ...view.edit, [input.name]: Number(input.value) } }, how);
}

function tellStrength(input, strength) {
  const text = strength > 0 ? `+${strength}` : `${strength}`.replace("-", "−");
  input.nextElementSibling.textContent = strength ? text : "";
  input.ariaValueText = strength ? text : "unchanged";
}

on("edits-reset", "click", () => change({ edit: {} }));
