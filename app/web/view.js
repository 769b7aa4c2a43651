/* The current view, stored in the URL's fragment for links and the history. */

import { on } from "./dom.js";
import { SEED_COUNT, readClass, readPicture } from "./picture.js";

export const MAX_PICTURES = 16; // pins, and pictures in one box: the limit of the server
export const PANELS = ["gallery", "morph", "blend", "variations", "arithmetic"];
// Old links use the old names.
const RENAMED = new Map([["between", "morph"], ["plane", "blend"], ["sums", "arithmetic"]]);

const number = (min, max, pattern = /^\d{1,10}$/) => (text) => {
  const value = pattern.test(text) ? Number(text) : NaN;
  return value >= min && value <= max ? value : undefined;
};
const seed = number(0, SEED_COUNT - 1);
const pictures = (text) => {
  const found = text.split(",").map(readPicture).filter(Boolean);
  return [...new Set(found)].slice(0, MAX_PICTURES);
};
const edit = (text) => {
  const pairs = text.split(",").map((pair) => pair.split(":"));
  const valid = ([name, value]) => /^[a-z]\w*$/.test(name) && value && Math.abs(value) <= 5;
  return Object.fromEntries(pairs.filter(valid).map(([name, value]) => [name, Number(value)]));
};
const attributes = (text) => {
  const found = text.split(",").filter((one) => /^-?[a-z]\w*$/.test(one));
  return Object.fromEntries(found.map((one) => [one.replace("-", ""), one[0] === "-" ? 0 : 1]));
};

const DECIMAL = /^\d(\.\d+)?$/;
// The parser of each field, and its default.
const FIELDS = {
  model: [(text) => text.match(/^[\w.-]+$/)?.[0], ""],
  version: [number(1, 2 ** 31), 0],
  panel: [(text) => PANELS.find((name) => name === (RENAMED.get(text) ?? text)), "gallery"],
  seed: [seed, 0],
  class: [readClass, ""],
  rows: [(text) => ["classes"].find((name) => name === text), ""],
  pins: [pictures, []],
  attributes: [attributes, {}],
  edit: [edit, {}],
  truncation: [number(0.1, 2, DECIMAL), 1],
  scale: [number(1, 8), 0],
  of: [readPicture, ""],
  radius: [number(0, 2, DECIMAL), 0.5],
  start: [pictures, []],
  minus: [pictures, []],
  plus: [pictures, []],
};

export const view = {};
const listeners = [];

/** Calls `listener` after every change of the view. */
export function subscribe(listener) {
  listeners.push(listener);
}

/** An edit in the API's notation, such as `beard:-1.5,glasses:2`. */
export const editText = (strengths = view.edit) =>
  sorted(strengths)
    .filter(([, strength]) => strength)
    .map((pair) => pair.join(":"))
    .join(",");

/** Attributes in the API's notation, such as `-beard,glasses`. */
export const attributesText = (chosen = view.attributes) =>
  sorted(chosen)
    .map(([name, value]) => (value ? name : `-${name}`))
    .join(",");

// Sorted by name: one edit has one URL, which caches recognise.
const sorted = (values) => Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));

export const randomSeed = () => Math.floor(Math.random() * SEED_COUNT);

/** The fragment for the view with some changes, to link to. */
export function fragment(changes = {}) {
  const given = Object.entries({ ...view, ...changes })
    .map(([name, value]) => [name, write(name, value), write(name, FIELDS[name][1])])
    .filter(([, text, initial]) => text !== initial);
  return `#${given.map(([name, text]) => `${name}=${text}`).join("&")}`;
}

const TEXTS = { attributes: attributesText, edit: editText };
const write = (name, value) => (TEXTS[name] ?? String)(value);

/** Changes the view. Positions of a moving slider stay out of the history. */
export function change(changes, { inHistory = true } = {}) {
  Object.assign(view, changes);
  if (inHistory && fragment() !== location.hash) history.pushState(null, "", fragment());
  notify();
  // What another model does not have is gone.
  if (inHistory) history.replaceState(null, "", fragment());
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

/** Makes an input change the view by `toChanges(seed)`. An invalid value is reset. */
export function bindSeed(id, toChanges) {
  on(id, "change", ({ target }) => {
    change(target.value && target.checkValidity() ? toChanges(target.valueAsNumber) : {});
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
