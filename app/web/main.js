/* Starts the page. Each module's `render` shows the state, and runs after every change. */

import * as blend from "./blend.js";
import * as classes from "./classes.js";
import * as code from "./code.js";
import * as edit from "./edit.js";
import * as gallery from "./gallery.js";
import * as mix from "./mix.js";
import { fetchModels, imageSize, resolve } from "./models.js";
import * as morph from "./morph.js";
import { showError } from "./notice.js";
import * as numbers from "./numbers.js";
import * as pins from "./pins.js";
import "./shortcuts.js";
import * as stage from "./stage.js";
import { openAddress, subscribe } from "./state.js";
import * as tools from "./tools.js";
import * as tray from "./tray.js";
import * as vary from "./vary.js";
import * as yours from "./yours.js";

function shape(settled) {
  if (!settled) return;
  const { width, height } = imageSize();
  document.documentElement.style.setProperty("--shape", height / width);
}

function start() {
  // First the model is resolved and the tool shown, then its content is measured.
  [resolve, pins.render, shape, tools.render].forEach(subscribe);
  for (const part of [stage, classes, edit, vary, blend, morph, mix, numbers, yours, code, tray, gallery]) {
    subscribe(part.render);
  }
  openAddress();
  document.querySelector(".actions").inert = false;
  document.body.classList.add("ready");
}

fetchModels().then(start).catch(showError);
