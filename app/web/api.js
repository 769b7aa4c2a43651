/* Requests to the server, with patience: who is refused for now asks again. */

import { away, back, rested } from "./notice.js";
import { editText, view } from "./view.js";

const LONGEST = 15; // seconds between two attempts
let asking = null;
let keys = 0;

/** A request that asking again does not mend. */
export class Refusal extends Error {
  name = "Refusal";

  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The answer to a request, once there is one. Throws Refusal. */
export async function ask(path, options = {}) {
  for (let attempt = 0; ; attempt += 1) {
    await rested();
    options.signal?.throwIfAborted();
    const known = keys;
    const answer = await fetch(path, options).catch((error) => {
      if (error.name === "AbortError") throw error;
      return null;
    });
    if (answer?.ok) {
      back();
      return answer;
    }
    if (answer?.status === 401) {
      // The last key may be newer than the request.
      if (known === keys) await (asking ??= askKey());
      continue;
    }
    const { words, seconds } = await trouble(answer);
    away(words, Math.min(seconds || 2 ** attempt, LONGEST));
  }
}

/** The answer's JSON. */
export async function askJson(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  return (await ask(path, { ...options, headers })).json();
}

/** Asks for a key, once for all who need it. Its cookie goes along with images, too. */
async function askKey() {
  const key = prompt("Drawing takes a key. Which is yours?");
  // Who has none is not asked again.
  if (!key) throw new Refusal("Nothing is drawn without a key.", 401);
  const headers = { Authorization: `Bearer ${key}` };
  await fetch("access", { method: "POST", headers }).catch(() => null);
  asking = null;
  keys += 1;
}

async function trouble(answer) {
  if (!answer) return { words: "The server does not answer." };
  const problem = await answer.json().catch(() => ({}));
  if ([429, 503].includes(answer.status)) {
    const seconds = Number(answer.headers.get("Retry-After"));
    if (seconds) return { words: "The server is busy.", seconds };
    return { words: `The server is not ready: ${problem.detail ?? "no reason given"}.` };
  }
  // A proxy in front of a server that is away.
  if ([502, 504].includes(answer.status)) return { words: "The server does not answer." };
  throw new Refusal(problem.detail ?? `The server answered ${answer.status}.`, answer.status);
}

/** The path of one image. */
export function imagePath(seed, scale = "") {
  return path(`images/${view.model}/${view.version}/${seed}.png`, { ...look(), scale });
}

/** The path of any other drawing of the current model. */
export function drawingPath(route, parameters) {
  return path(route, { model: view.model, version: view.version, ...look(), ...parameters });
}

const look = () => ({
  edit: editText(),
  truncation: view.truncation === 1 ? "" : view.truncation,
});

function path(route, parameters) {
  const told = Object.entries(parameters).filter(([, value]) => value !== "");
  return told.length ? `${route}?${told.map((pair) => pair.join("=")).join("&")}` : route;
}
