/* Latents: the numbers that the network turns into a picture. The same as on the server, see
models/README.md for the random numbers, and app/api/README.md for what is done with them. */

const STEPS = 2048; // per unit, in the text of a latent
const MASK = 0xffffffffn;
const NOISE = 2n ** 31n; // where the noise of a seed begins among its random words
const NEIGHBOUR = 2n ** 11n; // words of each neighbour
const PARALLEL = 1e-6; // the sine of an angle below which two directions are the same

/** A random word of 64 bits: word `index` of the seed, by SplitMix64. */
export function randomWord(seed, index) {
  const wrap = (word) => BigInt.asUintN(64, word);
  let word = wrap(((BigInt(seed) << 32n) + index + 1n) * 0x9e3779b97f4a7c15n);
  word = wrap((word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n);
  word = wrap((word ^ (word >> 27n)) * 0x94d049bb133111ebn);
  return word ^ (word >> 31n);
}

/** Two numbers in (0, 1) from each of the words from `first` on. */
function unitPairs(seed, first, count) {
  return Array.from({ length: count }, (_, k) => {
    const word = randomWord(seed, first + BigInt(k));
    return [word >> 32n, word & MASK].map((half) => (Number(half) + 0.5) / 2 ** 32);
  });
}

/** The latent of a seed: normal by the Box–Muller transform, or uniform from -1 to 1. */
export function fromSeed(seed, { width, prior }) {
  const pairs = unitPairs(seed, 0n, Math.ceil(width / 2));
  const numbers = pairs.flatMap(([u, v]) => {
    if (prior === "uniform") return [2 * u - 1, 2 * v - 1];
    const radius = Math.sqrt(-2 * Math.log(u));
    return [radius * Math.cos(2 * Math.PI * v), radius * Math.sin(2 * Math.PI * v)];
  });
  return numbers.slice(0, width);
}

/** Uniform noise from -1 to 1 for neighbour number `neighbour` of a seed. */
export function noise(seed, neighbour, width) {
  const first = NOISE + BigInt(neighbour) * NEIGHBOUR;
  const pairs = unitPairs(seed, first, Math.ceil(width / 2));
  return pairs.flat().map((number) => 2 * number - 1).slice(0, width);
}

/** A latent as text: 16 bits for each number, in base64 for URLs. */
export function toText(latent) {
  const rounded = latent.map((number) => Math.max(-32768, Math.min(number * STEPS, 32767)));
  const bytes = new Uint8Array(Int16Array.from(rounded, Math.round).buffer);
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The latent in a text; undefined unless it has `width` numbers. */
export function fromText(text, width) {
  let bytes;
  try {
    const letters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  } catch {
    return undefined;
  }
  if (bytes.length !== 2 * width) return undefined;
  return Array.from(new Int16Array(bytes.buffer), (step) => step / STEPS);
}

/** The sum of vectors, each times its weight: `[weight, vector]`. */
export const weightedSum = (terms) =>
  terms[0][1].map((_, k) => terms.reduce((sum, [weight, vector]) => sum + weight * vector[k], 0));

export const length = (vector) => Math.hypot(...vector);

/** The point at a fraction of the straight line between two vectors. */
export const lerp = (start, end, fraction) =>
  weightedSum([
    [1 - fraction, start],
    [fraction, end],
  ]);

/** The point at a fraction of the arc between two vectors (Shoemake 1985, section 3.3). */
export function slerp(start, end, fraction) {
  const lengths = length(start) * length(end);
  const dot = start.reduce((sum, number, k) => sum + number * end[k], 0);
  const omega = lengths ? Math.acos(Math.max(-1, Math.min(dot / lengths, 1))) : 0;
  if (Math.sin(omega) < PARALLEL) return lerp(start, end, fraction);
  return weightedSum([
    [Math.sin((1 - fraction) * omega) / Math.sin(omega), start],
    [Math.sin(fraction * omega) / Math.sin(omega), end],
  ]);
}
