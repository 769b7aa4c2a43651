/* Truncation and size: how every image looks. */

import { $, on } from "./dom.js";
import { change, sliderField, view } from "./view.js";

/** Shows what the view says. */
export function render() {
  $("truncation").value = view.truncation;
  $("truncation").nextElementSibling.textContent = view.truncation;
  $("scale").value = view.scale;
}

sliderField("truncation", "truncation");
$("scale").append(
  new Option("Auto", 0),
  ...Array.from({ length: 8 }, (_, k) => new Option(`${k + 1} ×`, k + 1)),
);
on("scale", "change", () => change({ scale: Number($("scale").value) }));
