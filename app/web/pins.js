/* The list of pinned pictures. */

import { showMessage } from "./notice.js";
import { makePicture } from "./picture.js";
import { MAX_PICTURES, change, randomSeed, view } from "./view.js";

export const isPinned = (picture) => view.pins.includes(picture);

/** Pins or unpins a picture. */
export function togglePin(picture) {
  if (isPinned(picture)) change({ pins: view.pins.filter((one) => one !== picture) });
  else pin(picture);
}

/** Pins random pictures until there are `count`. */
export function pinRandom(count) {
  const pins = new Set(view.pins);
  while (pins.size < count) pins.add(makePicture(randomSeed(), view.class));
  change({ pins: [...pins] });
}

/** Inserts or moves a picture to an index among the others; by default appends it. */
export function pin(picture, index) {
  const others = view.pins.filter((one) => one !== picture);
  if (others.length === MAX_PICTURES) showMessage(`You can pin up to ${MAX_PICTURES} pictures.`);
  else if (index !== undefined || !isPinned(picture)) {
    change({ pins: others.toSpliced(index ?? MAX_PICTURES, 0, picture) });
  }
}
