/* Sliders that change the state. */

import { change } from "./state.js";

/** Makes a slider change the state by `toChanges(value)`; the address follows on release. */
export function bindSlider(slider, toChanges) {
  const set = (options) => change(toChanges(slider.valueAsNumber), { step: false, ...options });
  slider.addEventListener("input", () => set({ settled: false }));
  slider.addEventListener("change", () => set({}));
}

/** Makes a double click set a slider to its default. */
export function bindReset(slider, initial) {
  slider.addEventListener("dblclick", () => {
    slider.value = initial;
    for (const type of ["input", "change"]) slider.dispatchEvent(new Event(type));
  });
}
