/* Groups of radio buttons that look like chips. */

import { make } from "./dom.js";

/** A group with one chip for each `[value, label]`; `onChoose` receives the value. */
export function makeChips(name, legend, options, onChoose) {
  const chips = options.map(([value, label]) => {
    const input = make("input", { type: "radio", name, value });
    input.addEventListener("change", () => onChoose(value));
    return make("label", {}, input, label);
  });
  return make("fieldset", { className: "chips" }, make("legend", {}, legend), ...chips);
}

/** Checks the chip with this value in a group, and scrolls the group to it. */
export function checkChip(chips, value) {
  for (const input of chips.elements) {
    if (input.value !== value || input.checked) continue;
    input.checked = true;
    const { offsetLeft, offsetWidth } = input.parentElement;
    chips.scrollLeft = offsetLeft - chips.offsetLeft - (chips.clientWidth - offsetWidth) / 2;
  }
}
