/* The five panels, of which one is shown. */

import { $ } from "./dom.js";
import { pinRandom } from "./pins.js";
import { PANELS, address, view } from "./view.js";

let shown = null;
const scrolled = {}; // where each panel was left

/** Shows what the view says. */
export function render() {
  for (const name of PANELS) {
    const link = document.querySelector(`nav [data-panel=${name}]`);
    link.href = address({ panel: name });
    link.ariaCurrent = name === view.panel ? "page" : null;
    $(name).hidden = name !== view.panel;
  }
  // What a panel needs pins for is shown once there are enough.
  for (const element of document.querySelectorAll("[data-pins], [data-no-pins]")) {
    const { pins, noPins } = element.dataset;
    element.hidden = pins ? view.pins.length < pins : view.pins.length >= noPins;
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
