/* Starts the page. Each module's `render` shows the current view, and runs after every change. */

import * as arithmetic from "./arithmetic.js";
import * as blend from "./blend.js";
import * as classChoice from "./class_choice.js";
import * as classRows from "./class_rows.js";
import * as dialog from "./dialog.js";
import * as gallery from "./gallery.js";
import { displayWidth, fetchModels, imageSize, resolveModel } from "./models.js";
import * as morph from "./morph.js";
import * as options from "./options.js";
import * as panels from "./panels.js";
import * as tray from "./tray.js";
import * as variations from "./variations.js";
import { openUrl, subscribe, view } from "./view.js";

const TILE = 116; // approximate width of a picture in the gallery, in CSS pixels

function resize() {
  const { width, height } = imageSize();
  const root = document.documentElement.style;
  root.setProperty("--tile", `${displayWidth(TILE + width / 2)}px`);
  root.setProperty("--shape", `${width} / ${height}`);
  document.body.classList.toggle("sized", view.scale > 0);
}

await fetchModels();
// First the model is resolved, then the panel shown, then its content is measured.
[resolveModel, resize, panels.render].forEach(subscribe);
const panelParts = [gallery, classChoice, classRows, morph, blend, variations, arithmetic];
for (const part of [options, tray, ...panelParts, dialog]) {
  subscribe(part.render);
}
openUrl();
document.body.classList.add("ready");
