/* One row of pictures for each class, cut from one sheet. Every column has one latent. */

import { coalesce, resourcePath } from "./api.js";
import { $, make } from "./dom.js";
import { loadSheet } from "./image.js";
import { currentVersion, imageSize } from "./models.js";
import { SEED_COUNT, makePicture } from "./picture.js";
import { bindTiles, makeTile, setPicture, tilesIn } from "./tiles.js";
import { view } from "./view.js";

const COLUMNS = [3, 10]; // at least and at most
const ROOM = 76; // CSS pixels for a picture
const LABEL = 80; // CSS pixels for the name of a class
const MAX_IMAGES = 256; // on a sheet: the limit of the server

const sheet = new Image();
let built = ""; // what the tiles are for

const fetchSheet = coalesce(async () => {
  if (!isActive()) return;
  const path = (cols) => resourcePath("grid", { rows: "classes", cols, seed: view.seed });
  const before = path(1);
  // A server may allow fewer pictures than most do.
  const columns = await loadSheet(sheet, [columnCount(), 1], path);
  if (!isActive() || path(1) !== before) return;
  build(columns);
  draw(columns);
});

const isActive = () => view.panel === "gallery" && view.rows === "classes";

export function render() {
  $("rows").hidden = !view.rows;
  for (const tile of tilesIn($("rows"))) setPicture(tile, tile.picture);
  fetchSheet();
}

function columnCount() {
  const fitting = Math.floor(($("gallery").clientWidth - LABEL) / ROOM);
  const allowed = Math.floor(MAX_IMAGES / currentVersion().classes.length);
  return Math.min(Math.max(fitting, COLUMNS[0]), COLUMNS[1], allowed);
}

function build(columns) {
  const wanted = [view.model, view.version, view.seed, columns].join();
  if (built === wanted) return;
  built = wanted;
  const seeds = Array.from({ length: columns }, (_, k) => (view.seed + k) % SEED_COUNT);
  const head = ["", ...seeds].map((text) => make("span", {}, String(text)));
  const rows = currentVersion().classes.map(({ name }) => [
    make("span", {}, name),
    ...seeds.map((seed) => {
      const tile = makeTile(make("canvas", imageSize()));
      setPicture(tile, makePicture(seed, name));
      return tile;
    }),
  ]);
  $("rows").style.setProperty("--columns", columns);
  $("rows").replaceChildren(...head, ...rows.flat());
  tilesIn($("rows"))[0].tabIndex = 0;
}

function draw(columns) {
  const { width, height } = imageSize();
  tilesIn($("rows")).forEach(({ firstChild }, k) => {
    const [column, row] = [k % columns, Math.floor(k / columns)];
    firstChild.getContext("2d").drawImage(sheet, -column * width, -row * height);
  });
}

addEventListener("resize", () => built && fetchSheet());
bindTiles($("rows"), () => Number($("rows").style.getPropertyValue("--columns")));
