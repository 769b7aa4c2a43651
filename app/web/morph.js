/* Morphs from each pinned picture to the next, in a loop. Frames are fetched in advance. */

import { coalesce, imagePath, requestJson, resourcePath } from "./api.js";
import { classList, nameOf } from "./classes.js";
import { $, make, on } from "./dom.js";
import { decodePng, showImage } from "./image.js";
import { displayWidth, fitCanvas, imageSize } from "./models.js";
import { splitPicture } from "./picture.js";
import { view } from "./view.js";

const FRAMES = 16; // per segment; every server allows so many in one request
const UNITS = 64; // of the slider, per segment
const SPEED = 0.6; // segments per second
const ROOM = 340; // CSS pixels for a picture, on the page and in files
const MAX_PIXELS = 2 ** 24; // of a file, all frames together

const canvas = $("morph-canvas");
const slider = $("morph-slider");
let segments = []; // their paths
let frames = new Map(); // a segment's path → its frames
let lastTime = null; // of the last frame that was played, in ms; null while paused

const fetchFrames = coalesce(async () => {
  const current = segments;
  frames = new Map([...frames].filter(([path]) => current.includes(path)));
  // The segment in sight comes first.
  for (const path of [current[position().segment], ...current]) {
    if (segments !== current || frames.has(path)) continue;
    const { frames: fetched } = await requestJson(path);
    frames.set(path, await Promise.all(fetched.map(({ png }) => decodePng(png))));
    showFrame();
  }
  showFrame();
});

const isActive = () => view.panel === "morph" && view.pins.length > 1;

export function render() {
  if (!isActive()) return pause();
  fitCanvas(canvas, ROOM);
  slider.max = view.pins.length * UNITS;
  const stops = [...view.pins, view.pins[0]];
  if (stops.length !== $("morph-stops").childElementCount) {
    $("morph-stops").replaceChildren(...stops.map(() => make("img", { alt: "" })));
  }
  stops.forEach((picture, k) => showImage($("morph-stops").children[k], imagePath(picture)));
  segments = view.pins.map((_, k) => {
    const [from, to] = ends(k).map(splitPicture);
    const classes = { from_class: from.ofClass, to_class: to.ofClass };
    return resourcePath("interpolate", { from: from.seed, to: to.seed, ...classes, steps: FRAMES });
  });
  setDownloads();
  fetchFrames();
}

/** The pictures at the ends of a segment. */
const ends = (segment) => [view.pins[segment], view.pins[(segment + 1) % view.pins.length]];

/** Links to files of the same morph, as large as the server allows. */
function setDownloads() {
  const { width, height } = imageSize();
  const pixels = view.pins.length * (FRAMES - 1) * width * height;
  const maxScale = Math.floor(Math.sqrt(MAX_PIXELS / pixels));
  const scale = Math.min(displayWidth(ROOM) / width, 8, maxScale);
  const seeds = view.pins.map((picture) => splitPicture(picture).seed);
  const stops = { seeds, class: classList(view.pins), steps: FRAMES, loop: true };
  const path = { ...stops, fps: SPEED * (FRAMES - 1), scale };
  for (const format of ["gif", "webp"]) {
    $(`morph-${format}`).href = resourcePath("interpolate", { ...path, format });
    $(`morph-${format}`).download = `${view.model}-${view.version}.${format}`;
  }
}

/** The slider's position: the index of a segment, and the part of it that has passed. */
function position() {
  const passed = slider.value / UNITS;
  const segment = Math.min(Math.floor(passed), segments.length - 1);
  return { segment, part: passed - segment };
}

/** Shows the slider's position: the two nearest frames, cross-faded. */
function showFrame() {
  if (!isActive()) return;
  const { segment, part } = position();
  showPosition(segment, part);
  const found = frames.get(segments[segment]);
  if (!found) return;
  const frame = part * (FRAMES - 1);
  const before = Math.min(Math.floor(frame), FRAMES - 2);
  const context = canvas.getContext("2d");
  context.globalAlpha = 1;
  context.drawImage(found[before], 0, 0);
  context.globalAlpha = frame - before;
  context.drawImage(found[before + 1], 0, 0);
}

function showPosition(segment, part) {
  const [from, to] = ends(segment).map(nameOf);
  const text = `${Math.round(100 * part)}% of the way from ${from} to ${to}`;
  slider.ariaValueText = text;
  $("morph-position").textContent = text;
}

function playFrame(now) {
  if (lastTime === null) return;
  // The slider holds integers: the time of a fraction is left for the next call.
  const units = Math.floor(((now - lastTime) / 1000) * SPEED * UNITS);
  if (units >= 1) {
    slider.value = (Number(slider.value) + units) % slider.max;
    lastTime += (units * 1000) / (SPEED * UNITS);
    showFrame();
  }
  requestAnimationFrame(playFrame);
}

function play() {
  lastTime = performance.now();
  $("morph-play").textContent = "Pause";
  requestAnimationFrame(playFrame);
}

function pause() {
  lastTime = null;
  $("morph-play").textContent = "Play";
}

on("morph-play", "click", () => (lastTime === null ? play() : pause()));
slider.addEventListener("input", showFrame);
