/* The page, from its address to what it shows. */

import * as actions from "./actions.js";
import * as between from "./between.js";
import * as edits from "./edits.js";
import * as gallery from "./gallery.js";
import * as looks from "./looks.js";
import { discover, settle, size, wide } from "./models.js";
import * as panels from "./panels.js";
import * as pins from "./pins.js";
import * as plane from "./plane.js";
import * as sums from "./sums.js";
import * as variations from "./variations.js";
import { open, subscribe, view } from "./view.js";

const TILE = 116; // how wide an image of the gallery is, more or less

function resize() {
  const { width, height } = size();
  const root = document.documentElement.style;
  root.setProperty("--tile", `${wide(TILE + width / 2)}px`);
  root.setProperty("--shape", `${width} / ${height}`);
  document.body.classList.toggle("sized", view.scale > 0);
}

await discover();
// A view that is settled comes first, then the panel that the rest is measured in.
[settle, resize, panels.render].forEach(subscribe);
for (const part of [looks, pins, edits, gallery, between, plane, variations, sums, actions]) {
  subscribe(part.render);
}
open();
document.body.classList.add("ready");
