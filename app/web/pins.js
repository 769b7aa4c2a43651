/* The list of pinned pictures. */

import { showMessage } from "./notice.js";
import { MAX_PICTURES, change, randomSeed, view } from "./view.js";

export const isPinned = (seed) => view.pins.includes(seed);

/** Pins or unpins a picture. */
export function togglePin(seed) {
  if (isPinned(seed)) change({ pins: view.pins.filter((pin) => pin !== seed) });
  else pin(seed);
}

/** Pins random pictures until there are `count`. */
export function pinRandom(count) {
  const pins = new Set(view.pins);
  while (pins.size < count) pins.add(randomSeed());
  change({ pins: [...pins] });
}

/** Inserts or moves a picture to an index among the others; by default appends it. */
export function pin(seed, index) {
  const others = view.pins.filter((one) => one !== seed);
  if (others.length === MAX_PICTURES) showMessage(`You can pin up to ${MAX_PICTURES} pictures.`);
  else if (index !== undefined || !isPinned(seed)) {
    change({ pins: others.toSpliced(index ?? MAX_PICTURES, 0, seed) });
  }
}
