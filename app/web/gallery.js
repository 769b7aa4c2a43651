/* The gallery: consecutive seeds, one sheet from the server for each screenful.

Sheets are fetched one screen ahead. Those that are far away lose their pictures, and requests for
sheets that were scrolled past are cancelled, so that few pictures are in memory. */

import { pathOf, request } from "./api.js";
import { $, make, on } from "./dom.js";
import { FEW, optionsOf, showSheet } from "./draw.js";
import { currentVersion } from "./models.js";
import { showError } from "./notice.js";
import { SEED_COUNT, makeRecipe, plain, randomSeed } from "./recipe.js";
import { change, state } from "./state.js";
import { bindTiles, enableTab, makeTile, setRecipe, tilesIn } from "./tiles.js";

const TILE = { least: 92, most: 150, part: 0.085 }; // CSS pixels, and their part of the width
const GAP = 8; // CSS pixels, as in the style sheet
let most = 96; // images on a sheet
let shown = ""; // what the sheets are for
const list = $("sheets");

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) (isIntersecting ? fill : empty)(target);
    const last = entries.find(({ target }) => target === list.lastChild);
    if (last?.isIntersecting) append();
  },
  { rootMargin: "10% 0px 100%" }, // one screen ahead
);

export function render(settled) {
  if (!settled) return;
  $("gallery-seed").value = state.first;
  $("gallery-rows").parentElement.hidden = currentVersion().classes.length < 2;
  $("gallery-rows").checked = state.rows;
  if (shown !== key()) restart();
  for (const tile of tilesIn(list)) setRecipe(tile, tile.recipe);
  for (const sheet of list.children) if (sheet.wanted) fill(sheet);
}

/** The options of all pictures: those of the stage, if they apply to the gallery. */
const options = () => (state.apply ? state.stage : plain(state.stage, 0));

const key = () => {
  const { model, version, first, rows } = { ...state.stage, ...state };
  return [model, version, first, rows, columnCount(), pathOf("", optionsOf(options()))].join();
};

function columnCount() {
  const room = list.clientWidth;
  const tile = Math.min(Math.max(room * TILE.part, TILE.least), TILE.most);
  return Math.max(1, Math.floor((room + GAP) / (tile + GAP)));
}

function rowCount() {
  if (state.rows) return currentVersion().classes.length;
  const columns = columnCount();
  const pitch = (list.clientWidth + GAP) / columns;
  return Math.max(1, Math.min(Math.ceil(innerHeight / pitch), Math.floor(most / columns)));
}

function restart() {
  shown = key();
  observer.disconnect();
  for (const sheet of list.children) empty(sheet);
  list.replaceChildren();
  append();
}

function append() {
  const allowed = state.rows ? Math.max(1, Math.floor(most / rowCount())) : Infinity;
  const columns = Math.min(columnCount(), allowed);
  const seeds = state.rows ? columns : columns * rowCount();
  const number = list.childElementCount;
  const sheet = make("div", { className: "sheet" });
  const first = (state.first + number * seeds) % SEED_COUNT;
  Object.assign(sheet, { first, columns, rows: rowCount(), wanted: false, drawn: false });
  sheet.style.setProperty("--columns", columns);
  sheet.style.setProperty("--rows", sheet.rows);
  list.append(sheet);
  observer.observe(sheet);
}

/** The recipes of a sheet, row by row. */
function recipes({ first, columns, rows }) {
  const seedAt = (k) => (first + k) % SEED_COUNT;
  const base = { ...options(), latent: "" };
  return Array.from({ length: rows * columns }, (_, k) =>
    state.rows
      ? makeRecipe({
          ...base,
          seed: seedAt(k % columns),
          class: currentVersion().classes[Math.floor(k / columns)].name,
        })
      : makeRecipe({ ...base, seed: seedAt(k) }),
  );
}

function path({ first, columns, rows }) {
  const { model, version } = state.stage;
  const given = optionsOf(options());
  if (state.rows) given.class = "";
  const size = { rows: state.rows ? "classes" : rows, cols: columns, seed: first };
  return pathOf("grid", { model, version, ...size, ...given });
}

/** Fetches the pictures of a sheet that comes into sight. */
async function fill(sheet) {
  sheet.wanted = true;
  if (!sheet.childElementCount) {
    sheet.append(...recipes(sheet).map(makeTile));
    if (sheet === list.firstChild) enableTab(list);
  }
  if (sheet.loading || sheet.drawn) return;
  const loading = new AbortController();
  sheet.loading = loading;
  try {
    await draw(sheet, loading.signal);
  } catch (error) {
    failed(error);
  } finally {
    if (sheet.loading === loading) sheet.loading = null;
  }
}

async function draw(sheet, signal) {
  const headers = { Accept: "image/png" };
  const file = await (await request(path(sheet), { headers, signal })).blob();
  const canvases = tilesIn(sheet).map((tile) => tile.canvas);
  await showSheet(canvases, file, sheet.columns);
  sheet.drawn = sheet.wanted;
}

/** A server may allow fewer images in one request than most do. */
function failed(error) {
  if (error.status !== 422 || most === FEW) return showError(error);
  most = FEW;
  restart();
}

/** Forgets the pictures of a sheet out of sight. Its size stays. */
function empty(sheet) {
  sheet.wanted = false;
  sheet.loading?.abort();
  sheet.loading = null;
  if (sheet.contains(document.activeElement)) return; // the focus must not get lost
  sheet.drawn = false;
  sheet.replaceChildren();
}

const start = (seed) => change({ first: seed });

on("gallery-seed", "change", ({ target }) => {
  start(target.value && target.checkValidity() ? target.valueAsNumber : state.first);
});
on("gallery-random", "click", () => start(randomSeed()));
on("gallery-rows", "change", ({ target }) => change({ rows: target.checked }));
addEventListener("resize", () => {
  if (shown && shown !== key()) restart();
});
bindTiles(list, () => list.firstChild.columns);
