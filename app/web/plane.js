/* The plane between the first four pinned images: a sheet, and the image at a place of it. */

import { drawingPath } from "./api.js";
import { $ } from "./dom.js";
import { loadFirst } from "./image.js";
import { fit, wide } from "./models.js";
import { latest } from "./pace.js";
import { view } from "./view.js";

const SIDES = [8, 4]; // images a side; the second where the server allows only a few

const pad = $("plane-pad");
const sheet = $("plane-sheet");
const canvas = $("plane-canvas");
let side = SIDES[0];
const at = { x: 0.5, y: 0.5 }; // 0 to 1, from the left and from the top

const fetchSheet = latest(async () => {
  if (!active()) return;
  const corners = view.pins.slice(0, 4).join(",");
  const paths = SIDES.map((n) => drawingPath("grid", { corners, rows: n, cols: n }));
  side = SIDES[await loadFirst(sheet, paths)];
  show();
});

const active = () => view.panel === "plane" && view.pins.length > 3;

/** Shows what the view says. */
export function render() {
  if (!active()) return;
  pad.style.width = `${wide(580, SIDES[0])}px`;
  fit(canvas, 220);
  sheet.alt = `The plane between the images ${view.pins.slice(0, 4).join(", ")}`;
  fetchSheet();
}

/** Draws the image of the sheet at the place. */
function show() {
  pad.style.setProperty("--x", at.x);
  pad.style.setProperty("--y", at.y);
  pad.ariaValueNow = Math.round(100 * at.x);
  const words = `${Math.round(100 * at.x)}% to the right, ${Math.round(100 * at.y)}% down`;
  pad.ariaValueText = words;
  if (!sheet.naturalWidth) return;
  const { width, height } = canvas;
  const [column, row] = [at.x, at.y].map((share) => Math.min(Math.floor(share * side), side - 1));
  const from = [column * width, row * height, width, height];
  canvas.getContext("2d").drawImage(sheet, ...from, 0, 0, width, height);
}

function move(x, y) {
  at.x = Math.min(Math.max(x, 0), 1);
  at.y = Math.min(Math.max(y, 0), 1);
  show();
}

function follow({ clientX, clientY }) {
  const { left, top, width, height } = pad.getBoundingClientRect();
  move((clientX - left) / width, (clientY - top) / height);
}

pad.addEventListener("pointerdown", follow);
pad.addEventListener("pointermove", follow);
pad.addEventListener("keydown", (event) => {
  const step = 1 / side;
  const steps = { ArrowLeft: [-step, 0], ArrowRight: [step, 0] };
  Object.assign(steps, { ArrowUp: [0, -step], ArrowDown: [0, step] });
  if (!steps[event.key]) return;
  event.preventDefault();
  const [x, y] = steps[event.key];
  move(at.x + x, at.y + y);
});
