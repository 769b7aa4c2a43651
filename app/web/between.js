/* The way from pinned image to pinned image and back to the first. Its frames are fetched ahead. */

import { askJson, drawingPath, imagePath } from "./api.js";
import { $, make, on } from "./dom.js";
import { bitmap, draw } from "./image.js";
import { fit, size, wide } from "./models.js";
import { latest } from "./pace.js";
import { view } from "./view.js";

const FRAMES = 16; // of a leg: every server allows so many at once
const UNITS = 64; // of the slider, a leg
const SPEED = 0.6; // legs a second
const ROOM = 340; // for an image, on the screen and in files
const LARGEST = 2 ** 24; // pixels of a file

const canvas = $("between-canvas");
const slider = $("between-slider");
let legs = []; // their paths
let frames = new Map(); // a leg's path to its frames
let playing = null; // the time of the last frame on the screen

const fetchAhead = latest(async () => {
  const current = legs;
  frames = new Map([...frames].filter(([path]) => current.includes(path)));
  // The one in sight comes first.
  for (const path of [current[place().leg], ...current]) {
    if (legs !== current || frames.has(path)) continue;
    const { frames: fetched } = await askJson(path);
    frames.set(path, await Promise.all(fetched.map(({ png }) => bitmap(png))));
    show();
  }
  show();
});

const active = () => view.panel === "between" && view.pins.length > 1;

/** Shows what the view says. */
export function render() {
  if (!active()) return pause();
  fit(canvas, ROOM);
  slider.max = view.pins.length * UNITS;
  const stops = [...view.pins, view.pins[0]];
  if (stops.length !== $("between-stops").childElementCount) {
    $("between-stops").replaceChildren(...stops.map(() => make("img", { alt: "" })));
  }
  stops.forEach((seed, k) => draw($("between-stops").children[k], imagePath(seed)));
  legs = view.pins.map((from, k) => {
    const to = view.pins[(k + 1) % view.pins.length];
    return drawingPath("interpolate", { from, to, steps: FRAMES });
  });
  offer();
  fetchAhead();
}

/** Links to what is played here: as many frames, as fast, and as large as the server allows. */
function offer() {
  const { width, height } = size();
  const pixels = view.pins.length * (FRAMES - 1) * width * height;
  const most = Math.floor(Math.sqrt(LARGEST / pixels));
  const scale = Math.min(wide(ROOM) / width, 8, most);
  const way = { seeds: view.pins, steps: FRAMES, loop: true, fps: SPEED * (FRAMES - 1), scale };
  for (const format of ["gif", "webp"]) {
    $(`between-${format}`).href = drawingPath("interpolate", { ...way, format });
    $(`between-${format}`).download = `${view.model}-${view.version}.${format}`;
  }
}

/** The leg that the slider is on, and the share of it that lies behind. */
function place() {
  const walked = slider.value / UNITS;
  const leg = Math.min(Math.floor(walked), legs.length - 1);
  return { leg, share: walked - leg };
}

/** Draws the frame at the slider: two neighbours, the one through the other. */
function show() {
  if (!active()) return;
  const { leg, share } = place();
  tellPlace(leg, share);
  const found = frames.get(legs[leg]);
  if (!found) return;
  const passed = share * (FRAMES - 1);
  const before = Math.min(Math.floor(passed), FRAMES - 2);
  const context = canvas.getContext("2d");
  context.globalAlpha = 1;
  context.drawImage(found[before], 0, 0);
  context.globalAlpha = passed - before;
  context.drawImage(found[before + 1], 0, 0);
}

function tellPlace(leg, share) {
  const [from, to] = [view.pins[leg], view.pins[(leg + 1) % view.pins.length]];
  const words = `${Math.round(100 * share)}% of the way from ${from} to ${to}`;
  slider.ariaValueText = words;
  $("between-place").textContent = words;
}

function play(now) {
  if (playing === null) return;
  // A slider knows whole units; the way between two of them is walked in time.
  const units = ((now - playing) / 1000) * SPEED * UNITS;
  if (units >= 1) {
    slider.value = (Number(slider.value) + Math.floor(units)) % slider.max;
    playing += (Math.floor(units) * 1000) / (SPEED * UNITS);
    show();
  }
  requestAnimationFrame(play);
}

function start() {
  playing = performance.now();
  $("between-play").textContent = "Pause";
  requestAnimationFrame(play);
}

function pause() {
  playing = null;
  $("between-play").textContent = "Play";
}

on("between-play", "click", () => (playing === null ? start() : pause()));
slider.addEventListener("input", show);
