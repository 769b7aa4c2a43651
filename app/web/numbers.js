/* The numbers behind the picture: one bar each. Dragging a bar changes the picture. */

import { baseLatent, withLatent } from "./derive.js";
import { $ } from "./dom.js";
import { bindPointer } from "./places.js";
import { change, state } from "./state.js";

const MAX = 3; // the number of a full bar; few numbers of seeds are larger
const STEP = 0.1; // of the arrow keys
const canvas = $("bars");
let shown = null; // the latent whose bars are in sight
let chosen = 0; // the bar that the arrow keys change

export function render() {
  if (state.tool !== "numbers") return;
  const latent = baseLatent(state.stage);
  chosen = Math.min(chosen, latent.length - 1);
  canvas.ariaValueNow = latent[chosen].toFixed(2);
  canvas.ariaValueText = `number ${chosen + 1} of ${latent.length}: ${latent[chosen].toFixed(2)}`;
  $("numbers-count").textContent = latent.length;
  shown = latent;
  draw();
}

function draw() {
  const latent = shown;
  const { clientWidth, clientHeight } = canvas;
  const ratio = devicePixelRatio;
  Object.assign(canvas, { width: clientWidth * ratio, height: clientHeight * ratio });
  const { color, accentColor } = getComputedStyle(canvas);
  const context = canvas.getContext("2d");
  const [width, middle] = [canvas.width / latent.length, canvas.height / 2];
  latent.forEach((number, k) => {
    context.fillStyle = k === chosen ? accentColor : color;
    const bar = Math.max(-1, Math.min(number / MAX, 1)) * middle;
    context.fillRect((k + 0.15) * width, middle, 0.7 * width, -bar || 1);
  });
}

function set(number, settled) {
  const latent = baseLatent(state.stage);
  latent[chosen] = Math.max(-MAX, Math.min(number, MAX));
  change({ stage: withLatent(state.stage, latent) }, { step: false, settled });
}

bindPointer(canvas, ([x, y], settled) => {
  const count = baseLatent(state.stage).length;
  chosen = Math.max(0, Math.min(Math.floor(x * count), count - 1));
  set((1 - 2 * y) * MAX, settled);
});
canvas.addEventListener("keydown", (event) => {
  const latent = baseLatent(state.stage);
  const bars = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const up = { ArrowUp: STEP, ArrowDown: -STEP }[event.key];
  if (!bars && !up) return;
  event.preventDefault();
  if (up) return set(latent[chosen] + up, true);
  chosen = (chosen + bars + latent.length) % latent.length;
  render();
});
addEventListener("resize", () => shown && draw());
