/* The drawer with code for the picture on the stage: curl, JavaScript and Python. */

import { copy } from "./clipboard.js";
import { $, on } from "./dom.js";
import { imagePath, latentsRequest } from "./draw.js";
import { fileScale } from "./save.js";
import { state } from "./state.js";

const shell = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** Code that saves the picture of a seed. */
const ofSeed = (url) => ({
  curl: `curl ${shell(url)} -o picture.png`,
  javascript: `document.body.append(Object.assign(new Image(), { src: ${JSON.stringify(url)} }));`,
  python: `import pathlib
import httpx

picture = httpx.get(${JSON.stringify(url)}).raise_for_status()
pathlib.Path("picture.png").write_bytes(picture.content)`,
});

/** Code that saves the picture of a latent, which is sent as JSON. */
const ofLatent = (url, body) => ({
  curl:
    `curl ${shell(url)} -H 'Content-Type: application/json' -H 'Accept: image/png' ` +
    `-o picture.png -d ${shell(body)}`,
  javascript: `const answer = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: { "Content-Type": "application/json", Accept: "image/png" },
  body: JSON.stringify(${body}),
});
const src = URL.createObjectURL(await answer.blob());
document.body.append(Object.assign(new Image(), { src }));`,
  python: `import pathlib
import httpx

body = ${body}
headers = {"Accept": "image/png"}
picture = httpx.post(${JSON.stringify(url)}, json=body, headers=headers).raise_for_status()
pathlib.Path("picture.png").write_bytes(picture.content)`,
});

function codes() {
  const scale = fileScale();
  const absolute = (path) => new URL(path, location).href;
  if (!state.stage.latent) return ofSeed(absolute(imagePath(state.stage, scale)));
  const { path, options } = latentsRequest([state.stage], { scale });
  return ofLatent(absolute(path), options.body);
}

export function render() {
  if (!$("code").open) return;
  for (const [name, text] of Object.entries(codes())) $(`code-${name}`).textContent = text;
}

on("stage-code", "click", () => {
  $("code").showModal();
  render();
});
on("code", "click", async ({ target }) => {
  const { copies } = target.dataset;
  if (copies) await copy($(`code-${copies}`).textContent, target, "Copied");
});
