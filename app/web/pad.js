/* The pad: a canvas with the picture that a person brings, and a pen to draw on it.

Its pixels are those that the network gets. The pen is for models of grey pictures. */

import { $, on } from "./dom.js";
import { imageSize } from "./models.js";
import { ARROWS, placeOn } from "./places.js";

const PEN = 0.09; // the width of a line, for a picture that is 1 wide
const DOT = 0.01; // pixels
const DRAWN_ON = {
  role: "application",
  tabIndex: 0,
  ariaLabel: "Pad: arrow keys move the pen, with Shift they draw",
};
const SHOWN = { role: "img", tabIndex: -1, ariaLabel: "Your picture" };
const pad = $("yours-pad");
const canvas = $("yours-canvas");
let picture = null; // the bitmap below the strokes
let isExample = false; // whether the first stroke removes that bitmap
let strokes = []; // lists of places, [x, y] in pixels
let pen = [0, 0]; // where the arrow keys go on
let continues = false; // whether the next step of the arrow keys belongs to the last stroke

export const hasPen = () => imageSize().channels === 1;

/** Whether nothing is on the pad that a person has brought or drawn. */
export const isEmpty = () => (!picture || isExample) && !strokes.length;

function removePicture() {
  picture?.close();
  picture = null;
  isExample = false;
}

/** Removes everything, and takes the size of the model's pictures. */
export function clear() {
  removePicture();
  strokes = [];
  continues = false;
  const { width, height } = imageSize();
  movePen([width / 2, height / 2]);
  for (const [name, value] of Object.entries(hasPen() ? DRAWN_ON : SHOWN)) pad[name] = value;
  for (const id of ["yours-undo", "yours-invert"]) $(id).hidden = !hasPen();
  paint();
}

/** The pixels of the pad as a PNG file. */
export const drawing = () => new Promise((resolve) => canvas.toBlob(resolve));

/** The bitmap of the centre of a picture, in a model's size and colours. */
export async function bitmapOf(file, { width, height, channels }, isInverted) {
  const whole = await createImageBitmap(file);
  const scale = Math.min(whole.width / width, whole.height / height);
  const sides = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  const corner = [whole.width - sides[0], whole.height - sides[1]].map((rest) => rest / 2);
  const size = { resizeWidth: width, resizeHeight: height, resizeQuality: "high" };
  const scaled = await createImageBitmap(whole, ...corner, ...sides, size);
  whole.close();
  return recoloured(scaled, channels === 1, isInverted);
}

/** Puts a bitmap on the empty pad; the first stroke removes an example. */
export function showPicture(bitmap, isRemovable) {
  clear();
  picture = bitmap;
  isExample = isRemovable;
  paint();
}

/** A bitmap in a model's colours. */
async function recoloured(bitmap, isGrey, isInverted) {
  const copy = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = copy.getContext("2d");
  context.filter = `grayscale(${Number(isGrey)}) invert(${Number(isInverted)})`;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return createImageBitmap(copy);
}

function paint() {
  const { width, height } = imageSize();
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.fillRect(0, 0, width, height); // black
  if (picture) context.drawImage(picture, 0, 0);
  const line = { lineWidth: PEN * width, lineCap: "round", lineJoin: "round" };
  Object.assign(context, { ...line, strokeStyle: "white" });
  for (const stroke of strokes) {
    const [[x, y]] = stroke;
    context.beginPath();
    context.moveTo(x, y + DOT); // a line without a length would not be visible
    for (const place of stroke) context.lineTo(...place);
    context.stroke();
  }
  const isBlank = !picture && !strokes.length;
  pad.classList.toggle("empty", isBlank);
  $("yours-undo").disabled = !strokes.length;
  $("yours-clear").disabled = isBlank;
}

function movePen([x, y]) {
  const { width, height } = imageSize();
  pen = [Math.max(0, Math.min(x, width)), Math.max(0, Math.min(y, height))];
  pad.style.setProperty("--x", pen[0] / width);
  pad.style.setProperty("--y", pen[1] / height);
}

/** The place of the pointer, in pixels of the picture. */
function placeOf(event) {
  const [x, y] = placeOn(canvas, event);
  return [x * canvas.width, y * canvas.height];
}

function begin(stroke) {
  if (isExample) removePicture();
  strokes.push(stroke);
}

function extend(place) {
  strokes.at(-1).push(place);
  movePen(place);
  paint();
}

/**
 * Calls `onBegin` when a stroke begins, and `onChange` after every stroke and when strokes are
 * removed.
 */
export function bindPad(onBegin, onChange) {
  bindPointer(onBegin, onChange);
  const undo = () => {
    strokes.pop();
    continues = false;
    paint();
    onChange();
  };
  pad.addEventListener("keydown", (event) => {
    const isUndo = event.key === "z" && (event.ctrlKey || event.metaKey);
    if (isUndo && strokes.length) undo();
    else if (hasPen() && ARROWS[event.key]) followKey(event, onChange);
  });
  on("yours-undo", "click", undo);
  on("yours-clear", "click", () => {
    clear();
    onChange();
  });
}

function bindPointer(onBegin, onChange) {
  let stroke = null; // of the pointer that is held down
  const isDrawn = () => strokes.at(-1) === stroke; // it may have been removed meanwhile
  canvas.addEventListener("pointerdown", (event) => {
    if (!hasPen() || !event.isPrimary || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    onBegin();
    stroke = [];
    begin(stroke);
    continues = false;
    extend(placeOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId) && isDrawn()) extend(placeOf(event));
  });
  canvas.addEventListener("lostpointercapture", () => isDrawn() && onChange());
}

/** Moves the pen by a pixel; with Shift it draws. */
function followKey(event, onChange) {
  event.preventDefault();
  const step = ARROWS[event.key];
  const start = pen;
  movePen(pen.map((place, axis) => place + step[axis]));
  if (event.shiftKey) {
    if (!continues) begin([start]);
    extend(pen);
    onChange();
  }
  continues = event.shiftKey;
}
