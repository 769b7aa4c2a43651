/* Pictures with different attributes from one request, by the Open Inference Protocol.

It takes a row of attributes for each latent, and returns pixels. See app/api/README.md. */

import { jsonOptions, request } from "./api.js";
import { pointOf } from "./derive.js";
import { imageSize } from "./models.js";

const OPAQUE = 255;

/** The bitmaps of pictures of one model version. */
export async function infer(recipes, signal) {
  const { model, version } = recipes[0];
  const points = recipes.map(pointOf);
  const latents = points.map(({ latent }) => latent);
  const conditions = points.map(({ condition }) => condition);
  const inputs = [tensor("latents", latents), tensor("classes", conditions)];
  const outputs = [{ name: "pixels", parameters: { binary_data: true } }];
  const response = await request(`v2/models/${model}/versions/${version}/infer`, {
    ...jsonOptions({ inputs, outputs }, "*/*"),
    signal,
  });
  // JSON comes first, and the pixels behind it.
  const start = Number(response.headers.get("Inference-Header-Content-Length"));
  const size = imageSize(recipes[0]);
  const pixels = new Uint8Array(await response.arrayBuffer(), start);
  return Promise.all(recipes.map((_, k) => createImageBitmap(imageOf(pixels, k, size))));
}

function tensor(name, rows) {
  const data = rows.flat().map((one) => Number(one.toFixed(4)));
  return { name, datatype: "FP32", shape: [rows.length, rows[0].length], data };
}

/** Image number `k` of those in `pixels`. */
function imageOf(pixels, k, { height, width, channels }) {
  const image = new ImageData(width, height);
  const first = k * width * height * channels;
  for (let place = 0; place < width * height; place += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const index = first + place * channels + Math.min(channel, channels - 1);
      image.data[4 * place + channel] = pixels[index];
    }
    image.data[4 * place + 3] = OPAQUE;
  }
  return image;
}
