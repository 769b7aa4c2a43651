/* What can be done with one image: a dialog that shows it large. */

import { imagePath } from "./api.js";
import { $, on } from "./dom.js";
import { draw } from "./image.js";
import { size, wide } from "./models.js";
import { pinned, toggle } from "./pins.js";
import { MOST, change, view } from "./view.js";

let seed = null;

/** Opens the dialog on the image of a seed. */
export function openActions(chosen) {
  seed = chosen;
  // The one before must not stand under its name, however long it takes.
  const img = $("actions-image");
  if (img.getAttribute("src") !== imagePath(seed)) img.removeAttribute("src");
  render();
  $("actions").showModal();
}

/** Shows what the view says. */
export function render() {
  if (seed === null) return;
  const { width, height } = size();
  const path = imagePath(seed, view.scale || "");
  $("actions-title").textContent = `Image ${seed}`;
  $("actions-url").value = new URL(path, location).href;
  $("actions-copy").textContent = "Copy URL";
  $("actions-download").href = path;
  $("actions-download").download = `${view.model}-${view.version}-${seed}.png`;
  $("actions-pin").textContent = pinned(seed) ? "Unpin" : "Pin";
  const img = $("actions-image");
  Object.assign(img, { width: wide(260), height: (wide(260) * height) / width });
  img.alt = `What ${view.model} draws from the seed ${seed}`;
  draw(img, imagePath(seed));
  for (const button of $("actions").querySelectorAll("[data-box]")) {
    button.ariaPressed = view[button.dataset.box].includes(seed);
  }
}

async function copy() {
  const field = $("actions-url");
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // Browsers keep the clipboard from pages that came without TLS, but for this old way.
    field.select();
    document.execCommand("copy");
  }
  $("actions-copy").textContent = "Copied";
}

function putInto(box) {
  const others = view[box].filter((one) => one !== seed);
  const taken = others.length < view[box].length;
  change({ [box]: taken ? others : [...others, seed].slice(-MOST) });
}

on("actions-copy", "click", copy);
on("actions-url", "focus", (event) => event.target.select());
on("actions-pin", "click", () => toggle(seed));
on("actions-vary", "click", () => {
  $("actions").close();
  change({ panel: "variations", of: seed });
});
on("actions", "click", (event) => {
  if (event.target === $("actions")) $("actions").close(); // beside it
  const { box } = event.target.dataset;
  if (box) putInto(box);
});
on("actions", "close", () => {
  seed = null;
});
