/* The five panels, one of which is shown, and their tabs. */

import { $ } from "./dom.js";
import { pinRandom } from "./pins.js";
import { PANELS, fragment, view } from "./view.js";

let shown = null;
const scrolled = {}; // the scroll position of each panel

export function render() {
  for (const name of PANELS) {
    const link = document.querySelector(`nav [data-panel=${name}]`);
    link.href = fragment({ panel: name });
    link.ariaCurrent = name === view.panel ? "page" : null;
    $(name).hidden = name !== view.panel;
  }
  for (const element of document.querySelectorAll("[data-min-pins], [data-fewer-pins]")) {
    const { minPins = 0, fewerPins = Infinity } = element.dataset;
    element.hidden = view.pins.length < minPins || view.pins.length >= fewerPins;
  }
  if (shown !== view.panel) {
    shown = view.panel;
    scrollTo({ top: scrolled[shown] ?? 0, behavior: "instant" });
  }
}

addEventListener("scroll", () => {
  scrolled[shown] = scrollY;
});
for (const button of document.querySelectorAll("[data-random]")) {
  button.addEventListener("click", () => pinRandom(Number(button.dataset.random)));
}
