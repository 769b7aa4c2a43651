/* Blends of the first four pins: a sheet, and the picture at a position on it. */

import { coalesce, resourcePath } from "./api.js";
import { classList, nameOf } from "./classes.js";
import { $ } from "./dom.js";
import { loadSheet } from "./image.js";
import { displayWidth, fitCanvas } from "./models.js";
import { splitPicture } from "./picture.js";
import { view } from "./view.js";

const SIDES = [8, 4]; // pictures per side; the second where the server allows fewer

const pad = $("blend-pad");
const sheet = $("blend-sheet");
const canvas = $("blend-canvas");
let side = SIDES[0];
const position = { x: 0.5, y: 0.5 }; // 0 to 1, from the left and from the top

const fetchSheet = coalesce(async () => {
  if (!isActive()) return;
  const seeds = corners().map((picture) => splitPicture(picture).seed);
  const parameters = { corners: seeds, class: classList(corners()) };
  const path = (n) => resourcePath("grid", { ...parameters, rows: n, cols: n });
  side = await loadSheet(sheet, SIDES, path);
  showPosition();
});

const isActive = () => view.panel === "blend" && view.pins.length > 3;

const corners = () => view.pins.slice(0, 4);

export function render() {
  if (!isActive()) return;
  pad.style.width = `${displayWidth(580, SIDES[0])}px`;
  fitCanvas(canvas, 220);
  sheet.alt = `Blends of the pictures ${corners().map(nameOf).join(", ")}`;
  fetchSheet();
}

/** Copies the picture at the position to the canvas. */
function showPosition() {
  const { x, y } = position;
  pad.style.setProperty("--x", x);
  pad.style.setProperty("--y", y);
  pad.ariaValueNow = Math.round(100 * x);
  pad.ariaValueText = `${Math.round(100 * x)}% to the right, ${Math.round(100 * y)}% down`;
  if (!sheet.naturalWidth) return;
  const { width, height } = canvas;
  const [column, row] = [x, y].map((part) => Math.min(Math.floor(part * side), side - 1));
  canvas.getContext("2d").drawImage(sheet, -column * width, -row * height);
}

function moveTo(x, y) {
  position.x = Math.min(Math.max(x, 0), 1);
  position.y = Math.min(Math.max(y, 0), 1);
  showPosition();
}

function followPointer({ clientX, clientY }) {
  const { left, top, width, height } = pad.getBoundingClientRect();
  moveTo((clientX - left) / width, (clientY - top) / height);
}

pad.addEventListener("pointerdown", followPointer);
pad.addEventListener("pointermove", followPointer);
pad.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (!steps[event.key]) return;
  event.preventDefault();
  const [x, y] = steps[event.key];
  moveTo(position.x + x / side, position.y + y / side);
});
