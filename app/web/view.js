/* The current view. It is the URL's fragment, so that it can be shared and gone back to. */

import { $, on } from "./dom.js";

export const SEEDS = 2 ** 32;
export const MOST = 16; // pins, and images in one mean: the server averages no more
export const PANELS = ["gallery", "between", "plane", "variations", "sums"];

const matching = (pattern) => ({
  read: (text) => (pattern.test(text) ? text : undefined),
  write: String,
});
const number = (least, most, pattern = /^\d{1,10}$/) => ({
  read: (text) => {
    const value = pattern.test(text) ? Number(text) : NaN;
    return value >= least && value <= most ? value : undefined;
  },
  write: String,
});
const seed = number(0, SEEDS - 1);
const seeds = {
  read: (text) => {
    const found = text.split(",").map(seed.read).filter(Number.isInteger);
    return [...new Set(found)].slice(0, MOST);
  },
  write: (list) => list.join(","),
};
const strengths = {
  read: (text) => {
    const steps = text.split(",").map((step) => step.split(":"));
    const fit = ([name, value]) => /^[a-z]\w*$/.test(name) && value && Math.abs(value) <= 5;
    return Object.fromEntries(steps.filter(fit).map(([name, value]) => [name, Number(value)]));
  },
  // In the order of names: one edit has one URL, so that caches know it again.
  write: (edit) =>
    Object.entries(edit)
      .filter(([, strength]) => strength)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map((step) => step.join(":"))
      .join(","),
};

const DECIMAL = /^\d(\.\d+)?$/;
const FIELDS = {
  model: [matching(/^[\w.-]+$/), ""],
  version: [number(1, 2 ** 31), 0],
  panel: [matching(new RegExp(`^(${PANELS.join("|")})$`)), "gallery"],
  seed: [seed, 0],
  pins: [seeds, []],
  edit: [strengths, {}],
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

/** The edit as the API's text, such as `beard:-1.5,glasses:2`. */
export const editText = () => strengths.write(view.edit);

/** The fragment of the view with some of it changed: an address to link to. */
export function address(part = {}) {
  const told = Object.entries({ ...view, ...part })
    .map(([name, value]) => [name, written(name, value), written(name, FIELDS[name][1])])
    .filter(([, text, initial]) => text !== initial);
  return `#${told.map(([name, text]) => `${name}=${text}`).join("&")}`;
}

const written = (name, value) => (value === null ? "" : FIELDS[name][0].write(value));

/** Changes part of the view. A change that is not kept, as of a hand that drags, is no step back. */
export function change(part, { kept = true } = {}) {
  Object.assign(view, part);
  if (kept && address() !== location.hash) history.pushState(null, "", address());
  announce();
}

/** Takes the view out of the URL, and mends the URL where it tells what is not there. */
export function open() {
  read();
  announce();
  history.replaceState(null, "", address());
}

function read() {
  const told = new URLSearchParams(location.hash.slice(1));
  for (const [name, [kind, initial]] of Object.entries(FIELDS)) {
    view[name] = (told.has(name) ? kind.read(told.get(name)) : undefined) ?? initial;
  }
}

/** Lets a number field set a seed of the view. What is no seed gives way to the one that was. */
export function seedField(id, name) {
  on(id, "change", ({ target }) => {
    change(target.value && target.checkValidity() ? { [name]: target.valueAsNumber } : {});
  });
}

/** Lets a slider set a number of the view. It is kept once the slider is let go. */
export function sliderField(id, name) {
  const set = (how) => change({ [name]: $(id).valueAsNumber }, how);
  on(id, "input", () => set({ kept: false }));
  on(id, "change", () => set());
}

function announce() {
  for (const listener of listeners) listener();
}

read(); // a hand may be faster than the server
addEventListener("popstate", open);
