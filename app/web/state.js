/* The state of the page, which is in its address: for links, Back and reloads. */

import { fieldsOf, readFields, readRecipe, textOf } from "./recipe.js";

export const MAX_PICTURES = 16; // pins, and pictures in one box of a sum
export const TOOLS = ["edit", "vary", "blend", "morph", "mix", "numbers", "yours"];
const MAX_SCROLL = 6000; // pictures of the gallery above the window
const START = 18; // the seed of the first picture

const number = (min, max) => (text) => {
  const value = /^\d{1,10}(\.\d{1,4})?$/.test(text) ? Number(text) : NaN;
  return value >= min && value <= max ? value : undefined;
};
const whole = (min, max) => (text) => (/^\d+$/.test(text) ? number(min, max)(text) : undefined);
const flag = (text) => text === "1" || undefined;
const pad = (text) => {
  const place = text.split(",").map(number(0, 1));
  return place.length === 2 && !place.includes(undefined) ? place : undefined;
};
const recipes = (text) => {
  const found = text.split("~").map((one) => readRecipe(one, state.stage));
  return found.filter(Boolean).slice(0, MAX_PICTURES);
};
const list = { read: recipes, write: (found) => found.map(textOf).join("~") };

// How each field beside the picture is read from the address and written to it.
const FIELDS = {
  tool: { read: (text) => TOOLS.find((name) => name === text), initial: "edit" },
  first: { read: whole(0, 2 ** 32 - 1), initial: 0 },
  scroll: { read: whole(0, MAX_SCROLL), initial: 0 },
  rows: { read: flag, initial: false },
  apply: { read: flag, initial: false },
  pixels: { read: flag, initial: false },
  radius: { read: number(0, 2), initial: 0.5 },
  pad: { read: pad, initial: [0.5, 0.5] },
  at: { read: number(0, MAX_PICTURES), initial: 0 },
  pins: { ...list, initial: [] },
  start: { ...list, initial: [] },
  minus: { ...list, initial: [] },
  plus: { ...list, initial: [] },
};

/** The names of the fields that are lists of recipes. */
export const LISTS = ["pins", "start", "minus", "plus"];

export const state = {};
const listeners = [];

/** Calls `listener(settled)` after every change; not settled while a slider moves. */
export function subscribe(listener) {
  listeners.push(listener);
}

/** The query of the address for the state with some changes. */
export function address(changes = {}) {
  const wanted = { ...state, ...changes };
  const { model, version } = wanted.stage;
  const others = Object.entries(FIELDS).map(([name, { initial, write = textOfField }]) => {
    const [text, default_] = [write(wanted[name]), write(initial)];
    return [name, text === default_ ? "" : text];
  });
  const fields = [["model", model], ["version", version], ...fieldsOf(wanted.stage), ...others];
  const given = fields.filter(([, text]) => text);
  return `?${given.map((pair) => pair.join("=")).join("&")}`;
}

const textOfField = (value) => (value === true ? "1" : String(value || ""));

/**
 * Changes the state. Deliberate steps go into the history, so that Back undoes them; others replace
 * the address. While a slider moves (`settled` is false) the address stays as it is.
 */
export function change(changes, { step = true, settled = true } = {}) {
  Object.assign(state, changes);
  notify(settled);
  if (!settled || address() === location.search) return;
  history[step ? "pushState" : "replaceState"](null, "", address());
}

/** Shows a recipe on the stage. */
export const toStage = (stage, options) => change({ stage }, options);

/** Reads the state from the address, and removes invalid parts of it. */
export function openAddress() {
  read();
  notify(true);
  history.replaceState(null, "", address());
}

/** Calls all listeners, for example when requests are possible again. */
export function notify(settled) {
  for (const listener of listeners) listener(settled);
}

function read() {
  const given = new URLSearchParams(location.search);
  const fields = Object.fromEntries(given);
  const model = /^[\w.-]+$/.test(fields.model) ? fields.model : "";
  const version = whole(1, 2 ** 31)(fields.version) ?? 0;
  const of = { model, version };
  const first = { ...fields, seed: String(START), latent: "" };
  state.stage = readFields(fields, of) ?? readFields(first, of);
  for (const [name, { read: parse, initial }] of Object.entries(FIELDS)) {
    state[name] = (given.has(name) ? parse(given.get(name)) : undefined) ?? initial;
  }
}

/** Whether the address has this field. */
export const isGiven = (name) => new URLSearchParams(location.search).has(name);

read(); // the page can be used before the server responds
addEventListener("popstate", openAddress);
