/* Pictures for a tool that has none yet: every tool opens on a working example. */

import { isSame, plain } from "./recipe.js";
import { state } from "./state.js";

const SEEDS = [7, 2, 13, 1, 26];

/** Pictures of the model on the stage. */
export const examples = () => SEEDS.map((seed) => plain(state.stage, seed));

/** The first `count` pins; if there are fewer than `least`, examples follow them. */
export function pinsOrExamples(least, count = Infinity) {
  const pins = state.pins.slice(0, count);
  const unused = examples().filter((one) => !pins.some((pin) => isSame(pin, one)));
  return [...pins, ...unused.slice(0, Math.max(0, least - pins.length))];
}
