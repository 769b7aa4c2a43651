/* The gallery: consecutive seeds, one sheet from the server for about each screenful.

Sheets are the same in every window, so that caches know them and the server can name the first one
in the document. They are fetched before they come into sight. Those that are far away lose their
pictures, and requests for sheets that were scrolled past are cancelled, so that few pictures are in
memory. */

import { pathOf, request } from "./api.js";
import { $, make, on } from "./dom.js";
import { FEW, optionsOf, showSheet } from "./draw.js";
import { currentVersion } from "./models.js";
import { showError } from "./notice.js";
import { SEED_COUNT, makeRecipe, plain, randomSeed } from "./recipe.js";
import { change, state } from "./state.js";
import { bindTiles, enableTab, makeTile, setRecipe, tilesIn } from "./tiles.js";

const TILE = { least: 92, most: 150, part: 0.095 }; // CSS pixels, and their part of the width
const GAP = 8; // CSS pixels, as in the style sheet
const PAUSE_MS = 200; // after which the page no longer scrolls
// A sheet of the server, as page_preview.py has it, and one that every server allows.
const SHEET = { rows: 6, cols: 10 };
const SMALL_SHEET = { rows: 2, cols: FEW / 2 };
let layout = SHEET;
let shown = ""; // what the sheets are for
let first = null; // the seed in the field
const list = $("sheets");

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) (isIntersecting ? fill : empty)(target);
    const last = entries.find(({ target }) => target === list.lastChild);
    if (last?.isIntersecting) append();
  },
  { rootMargin: "0px 0px 100%" },
);

export function render(settled) {
  if (!settled) return;
  if (first !== state.first) showFirst(); // or else a person may be typing
  $("gallery-rows").parentElement.hidden = currentVersion().classes.length < 2;
  $("gallery-rows").checked = state.rows;
  if (shown !== key()) {
    const isFirst = !shown;
    restart();
    if (isFirst) scrollToState();
  }
  for (const tile of tilesIn(list)) setRecipe(tile, tile.recipe);
  for (const sheet of list.children) if (sheet.wanted) fill(sheet);
}

function showFirst() {
  first = state.first;
  $("gallery-seed").value = first;
}

/** The options of all pictures: those of the stage, if they apply to the gallery. */
const options = () => (state.apply ? state.stage : plain(state.stage, 0));

/** The same as parameters of the API. In rows, each row has its own class. */
const parameters = () => ({ ...optionsOf(options()), ...(state.rows && { class: "" }) });

const key = () => {
  const { model, version, first, rows } = { ...state.stage, ...state };
  return [model, version, first, rows, columnCount(), pathOf("", parameters())].join();
};

const imageCount = () => layout.rows * layout.cols;

/** The most pictures of a sheet with a row for each class. */
const most = () => (layout === SHEET ? 96 : FEW);

/** The columns in sight: those that fill the rows of a sheet, with tiles of about the right size. */
function columnCount() {
  const room = list.clientWidth;
  const tile = Math.min(Math.max(room * TILE.part, TILE.least), TILE.most);
  const wanted = Math.max(1, (room + GAP) / (tile + GAP));
  if (state.rows) return Math.max(1, Math.floor(Math.min(wanted, most() / rowCount())));
  const all = Array.from({ length: imageCount() }, (_, k) => k + 1);
  const distance = (columns) => Math.abs(Math.log(columns / wanted));
  return all
    .filter((columns) => imageCount() % columns === 0)
    .reduce((best, columns) => (distance(columns) < distance(best) ? columns : best));
}

const rowCount = (columns) =>
  state.rows ? currentVersion().classes.length : imageCount() / columns;

function restart() {
  shown = key();
  observer.disconnect();
  for (const sheet of list.children) empty(sheet);
  list.replaceChildren();
  append();
}

function append() {
  const columns = columnCount();
  const rows = rowCount(columns);
  const seeds = state.rows ? columns : imageCount();
  const number = list.childElementCount;
  const sheet = make("div", { className: "sheet" });
  const first = (state.first + number * seeds) % SEED_COUNT;
  Object.assign(sheet, { first, columns, rows, wanted: false, drawn: false });
  sheet.style.setProperty("--columns", columns);
  sheet.style.setProperty("--rows", rows);
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

function path({ first, columns }) {
  const { model, version } = state.stage;
  const size = state.rows ? { rows: "classes", cols: columns } : layout;
  return pathOf("grid", { model, version, ...size, seed: first, ...parameters() });
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
  const file = await (await request(path(sheet), { signal })).blob();
  const canvases = tilesIn(sheet).map((tile) => tile.canvas);
  await showSheet(canvases, file, state.rows ? sheet.columns : layout.cols);
  if (!signal.aborted) sheet.drawn = true; // or else these canvases may have gone
}

/** A server may allow fewer images in one request than most do. */
function failed(error) {
  if (error.status !== 422 || layout === SMALL_SHEET) return showError(error);
  layout = SMALL_SHEET;
  restartInPlace();
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

/** The row at the top of the window and its distance to the next one, in CSS pixels. */
function scrollPlace() {
  const { columns, rows, offsetHeight } = list.firstChild;
  const pitch = (offsetHeight + GAP) / rows;
  // On a phone the stage covers the upper part of the window.
  const stage = $("stage");
  const isAbove = getComputedStyle(stage.parentElement).display === "contents";
  const covered = isAbove ? stage.offsetHeight + GAP : 0;
  const above = covered - list.getBoundingClientRect().top;
  return { columns, rows, pitch, above };
}

/** Scrolls to the place in the address, which counts the pictures above it. */
function scrollToState() {
  if (!state.scroll) return;
  const { columns, rows, pitch } = scrollPlace();
  const row = Math.floor(state.scroll / columns);
  const needed = row + innerHeight / pitch; // the last screenful included
  while (list.childElementCount * rows < needed) append();
  // A page without these sheets may have been too short to keep its place.
  scrollBy({ top: row * pitch - scrollPlace().above, behavior: "instant" });
}

/** Makes other sheets of the same pictures, with the same one at the top of the window. */
function restartInPlace() {
  restart();
  scrollToState();
}

function noteScroll() {
  if (!shown) return;
  const { columns, pitch, above } = scrollPlace();
  const scroll = Math.max(0, Math.round(above / pitch)) * columns;
  if (scroll !== state.scroll) change({ scroll }, { step: false });
}

const start = (seed) => change({ first: seed });
let pause;
addEventListener("scroll", () => {
  clearTimeout(pause);
  pause = setTimeout(noteScroll, PAUSE_MS);
});

on("gallery-seed", "change", ({ target }) => {
  if (target.value && target.checkValidity()) start(target.valueAsNumber);
  else showFirst();
});
on("gallery-random", "click", () => start(randomSeed()));
on("gallery-rows", "change", ({ target }) => change({ rows: target.checked }));
addEventListener("resize", () => {
  if (shown && shown !== key()) restartInPlace();
});
bindTiles(list, () => list.firstChild.columns);
