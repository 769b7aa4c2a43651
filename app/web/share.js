/* Shares the address of the page, which holds everything that it shows. */

import { copy } from "./clipboard.js";
import { $ } from "./dom.js";
import { change } from "./state.js";

export async function share() {
  change({}, { step: false }); // while a morph plays, the address and the title are older
  const [url, title] = [location.href, document.title];
  // Computers have a clipboard, and phones a menu of apps.
  if (navigator.share && matchMedia("(pointer: coarse)").matches) {
    await navigator.share({ url, title }).catch(() => null); // also if it was cancelled
    return;
  }
  await copy(url, $("stage-share"), "Link copied");
}
