/* The current view, stored in the URL's fragment for links and the history. */

import { on } from "./dom.js";

export const SEED_COUNT = 2 ** 32;
export const MAX_PICTURES = 16; // pins, and pictures in one box: the limit of the server
export const PANELS = ["gallery", "morph", "blend", "variations", "arithmetic"];
// Old links use the old names.
const RENAMED = new Map([["between", "morph"], ["plane", "blend"], ["sums", "arithmetic"]]);

const number = (min, max, pattern = /^\d{1,10}$/) => (text) => {
  const value = pattern.test(text) ? Number(text) : NaN;
  return value >= min && value <= max ? value : undefined;
};
const seed = number(0, SEED_COUNT - 1);
const seeds = (text) => {
  const found = text.split(",").map(seed).filter(Number.isInteger);
  return [...new Set(found)].slice(0, MAX_PICTURES);
};
const edit = (text) => {
  const pairs = text.split(",").map((pair) => pair.split(":"));
  const valid = ([name, value]) => /^[a-z]\w*$/.test(name) && value && Math.abs(value) <= 5;
  return Object.fromEntries(pairs.filter(valid).map(([name, value]) => [name, Number(value)]));
};

const DECIMAL = /^\d(\.\d+)?$/;
// The parser of each field, and its default.
const FIELDS = {
  model: [(text) => text.match(/^[\w.-]+$/)?.[0], ""],
  version: [number(1, 2 ** 31), 0],
  panel: [(text) => PANELS.find((name) => name === (RENAMED.get(text) ?? text)), "gallery"],
  seed: [seed, 0],
  pins: [seeds, []],
  edit: [edit, {}],
  truncation: [number(0.1, 2, DECIMAL), 1],
  scale: [number(1, 8), 0],
  of: [seed, null],
  radius: [number(0, 2, DECIMAL), 0.5],
  start: [seeds, []],
  minus: [seeds, []],
  plus: [seeds, []],
};

export const view = {};
const listeners = [];

/** Calls `listener` after every change of the view. */
export function subscribe(listener) {
  listeners.push(listener);
}

/** An edit in the API's notation, such as `beard:-1.5,glasses:2`. */
export const editText = (strengths = view.edit) =>
  // Sorted by name: one edit has one URL, which caches recognise.
  Object.entries(strengths)
    .filter(([, strength]) => strength)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map((pair) => pair.join(":"))
    .join(",");

export const randomSeed = () => Math.floor(Math.random() * SEED_COUNT);

/** The fragment for the view with some changes, to link to. */
export function fragment(changes = {}) {
  const given = Object.entries({ ...view, ...changes })
    .map(([name, value]) => [name, write(name, value), write(name, FIELDS[name][1])])
    .filter(([, text, initial]) => text !== initial);
  return `#${given.map(([name, text]) => `${name}=${text}`).join("&")}`;
}

const write = (name, value) => (name === "edit" ? editText(value) : String(value ?? ""));

/** Changes the view. Positions of a moving slider stay out of the history. */
export function change(changes, { inHistory = true } = {}) {
  Object.assign(view, changes);
  if (inHistory && fragment() !== location.hash) history.pushState(null, "", fragment());
  notify();
}

/** Reads the view from the URL, and removes invalid parts of the URL. */
export function openUrl() {
  read();
  notify();
  history.replaceState(null, "", fragment());
}

function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [name, [parse, initial]] of Object.entries(FIELDS)) {
    view[name] = (given.has(name) ? parse(given.get(name)) : undefined) ?? initial;
  }
}

/** Makes an input set a seed of the view. An invalid value is reset. */
export function bindSeed(id, name) {
  on(id, "change", ({ target }) => {
    change(target.value && target.checkValidity() ? { [name]: target.valueAsNumber } : {});
  });
}

/** Makes a slider change the view by `toChanges(value)`; into the history on release. */
export function bindSlider(slider, toChanges) {
  const set = (options) => change(toChanges(slider.valueAsNumber), options);
  slider.addEventListener("input", () => set({ inHistory: false }));
  slider.addEventListener("change", () => set());
}

function notify() {
  for (const listener of listeners) listener();
}

read(); // the page can be used before the server responds
addEventListener("popstate", openUrl);
