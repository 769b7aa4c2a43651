/* The dialog that shows one picture large, with all actions on it. */

import { imagePath } from "./api.js";
import { nameOf } from "./classes.js";
import { $, on } from "./dom.js";
import { showImage } from "./image.js";
import { displayWidth, imageSize } from "./models.js";
import { isPinned, togglePin } from "./pins.js";
import { MAX_PICTURES, change, view } from "./view.js";

let picture = ""; // the one that is open

/** Opens the dialog on a picture. */
export function openDialog(chosen) {
  picture = chosen;
  // Do not show the previous picture while this one loads.
  const img = $("dialog-image");
  if (img.getAttribute("src") !== imagePath(picture)) img.removeAttribute("src");
  render();
  $("dialog").showModal();
}

export function render() {
  if (!picture) return;
  const { width, height } = imageSize();
  const path = imagePath(picture, view.scale || "");
  const file = picture.replace(/[:+]/g, "-");
  $("dialog-title").textContent = `Picture ${nameOf(picture)}`;
  $("dialog-url").value = new URL(path, location).href;
  $("dialog-copy").textContent = "Copy URL";
  $("dialog-download").href = path;
  $("dialog-download").download = `${view.model}-${view.version}-${file}.png`;
  $("dialog-pin").textContent = isPinned(picture) ? "Unpin" : "Pin";
  const img = $("dialog-image");
  const shown = displayWidth(260);
  Object.assign(img, { width: shown, height: (shown * height) / width });
  img.alt = `Picture of the model ${view.model} for the seed ${nameOf(picture)}`;
  showImage(img, imagePath(picture));
  for (const button of $("dialog").querySelectorAll("[data-box]")) {
    button.ariaPressed = view[button.dataset.box].includes(picture);
  }
}

async function copy() {
  const field = $("dialog-url");
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // Without TLS, browsers offer only this deprecated way.
    field.select();
    document.execCommand("copy");
  }
  $("dialog-copy").textContent = "Copied";
}

function toggleInBox(box) {
  const others = view[box].filter((one) => one !== picture);
  const removed = others.length < view[box].length;
  change({ [box]: removed ? others : [...others, picture].slice(-MAX_PICTURES) });
}

on("dialog-copy", "click", copy);
on("dialog-url", "focus", (event) => event.target.select());
on("dialog-pin", "click", () => togglePin(picture));
on("dialog-vary", "click", () => {
  $("dialog").close();
  change({ panel: "variations", of: picture });
});
on("dialog", "click", (event) => {
  if (event.target === $("dialog")) $("dialog").close(); // a click on the backdrop
  const { box } = event.target.dataset;
  if (box) toggleInBox(box);
});
on("dialog", "close", () => {
  picture = "";
});
