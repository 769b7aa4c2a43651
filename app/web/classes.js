/* The class of the picture on the stage: one of the model's, or a mixture of two. */

import { checkChip, makeChips } from "./chips.js";
import { $, on } from "./dom.js";
import { currentVersion } from "./models.js";
import { classParts, makeRecipe, mixture } from "./recipe.js";
import { bindReset, bindSlider } from "./sliders.js";
import { state, toStage } from "./state.js";

let shown = null; // the model version that the chips belong to

export function render() {
  if (shown !== currentVersion()) build();
  const [first, second] = names();
  checkChip($("class-chips").firstChild, first ?? "");
  $("mix-classes").hidden = !first;
  for (const option of $("mix-class").options) option.disabled = option.value === first;
  $("mix-class").value = second ?? "";
  const slider = $("mix-classes").querySelectorAll("input, output");
  for (const element of slider) element.hidden = !second;
  const text = `${Math.round(100 * share())}%`;
  $("mix-share").value = share();
  $("mix-share").nextElementSibling.textContent = text;
  $("mix-share").ariaValueText = `${text} ${second}`;
}

/** The classes that are chosen, if any. */
const names = () => classParts(state.stage.class).map(([name]) => name);

/** The share of the second class. Weights in an address may have any sum. */
function share() {
  const weights = classParts(state.stage.class).map(([, weight]) => weight);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.length > 1 ? weights[1] / total : 0.5;
}

function build() {
  shown = currentVersion();
  const classes = shown.classes.map(({ name }) => name);
  $("classes").hidden = classes.length < 2;
  const chips = [["", "Any"], ...classes.map((name) => [name, name])];
  $("class-chips").replaceChildren(makeChips("class", "Class", chips, choose));
  $("mix-class").replaceChildren(
    new Option("nothing", ""),
    ...classes.map((name) => new Option(name)),
  );
}

const withClass = (text) => makeRecipe({ ...state.stage, class: text });

function mixed(first, second, part = share()) {
  if (!second || second === first) return first;
  const parts = [1 - part, part].map((one) => Number(one.toFixed(2)));
  return mixture([[first, parts[0]], [second, parts[1]]]);
}

const choose = (value) => toStage(withClass(value && mixed(value, names()[1])));

on("mix-class", "change", () => toStage(withClass(mixed(names()[0], $("mix-class").value))));
bindSlider($("mix-share"), (value) => ({ stage: withClass(mixed(...names().slice(0, 2), value)) }));
bindReset($("mix-share"), 0.5);
