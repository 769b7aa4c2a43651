/* The class of the pictures in the gallery: one, a mixture of two, or one row for each. */

import { checkChip, makeChips } from "./chips.js";
import { $, on } from "./dom.js";
import { currentVersion } from "./models.js";
import { classParts, mixture } from "./picture.js";
import { bindSlider, change, view } from "./view.js";

const ROWS = "*"; // the chip for one row per class; no class has this name
let shown = null; // the model version that the chips belong to

export function render() {
  if (shown !== currentVersion()) build();
  const [first, second] = names();
  checkChip($("class-chips").firstChild, view.rows ? ROWS : (first ?? ""));
  $("mix").hidden = !first;
  for (const option of $("mix-class").options) option.disabled = option.value === first;
  $("mix-class").value = second ?? "";
  for (const element of $("mix").querySelectorAll("input, output")) element.hidden = !second;
  $("mix-share").value = share();
  const text = `${Math.round(100 * share())}%`;
  $("mix-share").nextElementSibling.textContent = text;
  $("mix-share").ariaValueText = `${text} ${second}`;
}

/** The one or two classes that are chosen. */
const names = () => classParts(view.class).map(([name]) => name);

/** The share of the second class. */
const share = () => classParts(view.class)[1]?.[1] ?? 0.5;

function build() {
  shown = currentVersion();
  const classes = shown.classes.map(({ name }) => name);
  $("class-choice").hidden = classes.length < 2;
  const chips = [["", "All"], [ROWS, "A row for each"], ...classes.map((name) => [name, name])];
  $("class-chips").replaceChildren(makeChips("class", "Class", chips, choose));
  $("mix-class").replaceChildren(
    new Option("nothing", ""),
    ...classes.map((name) => new Option(name)),
  );
}

function choose(value) {
  if (value === ROWS) change({ class: "", rows: "classes" });
  else change({ class: value && mixed(value, names()[1]), rows: "" });
}

const mixed = (first, second) =>
  second && second !== first ? mixture(first, second, share()) : first;

on("mix-class", "change", () => change({ class: mixed(names()[0], $("mix-class").value) }));
bindSlider($("mix-share"), (value) => ({ class: mixture(...names(), value) }));
