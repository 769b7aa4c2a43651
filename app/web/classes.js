/* The classes of pictures. A seed has a class of its own, drawn from it as the server does. */

import { currentVersion } from "./models.js";
import { classParts, splitPicture } from "./picture.js";

const MAX_MIXED = 16; // classes in a mixture: the limit of the server
const EPSILON = 1e-9; // above the rounding errors of a sum

/** A number from 0 to 1 for each seed: a word of SplitMix64, see models/README.md. */
function conditionNumber(seed) {
  const wrap = (word) => BigInt.asUintN(64, word);
  let word = wrap(((BigInt(seed) << 32n) + 2n ** 30n + 1n) * 0x9e3779b97f4a7c15n);
  word = wrap((word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n);
  word = wrap((word ^ (word >> 27n)) * 0x94d049bb133111ebn);
  return Number((word ^ (word >> 31n)) >> 11n) / 2 ** 53;
}

function ownClass(seed) {
  let total = 0;
  const bounds = currentVersion().classes.map(({ share }) => (total += share));
  const place = conditionNumber(seed) * total;
  return currentVersion().classes[bounds.findIndex((bound) => bound > place)]?.name ?? "";
}

/** The class of a picture; "" if the model has none. */
function classOf(picture) {
  const { seed, ofClass } = splitPicture(picture);
  return ofClass || ownClass(seed);
}

/** The classes of pictures as a parameter; "" if all have those of their seeds. */
export const classList = (pictures) =>
  hasChosen(pictures) ? pictures.map(classOf).join(",") : "";

const hasChosen = (pictures) => pictures.some((picture) => splitPicture(picture).ofClass);

/** The name of a picture: its seed and its class, such as `17 (sneaker)`. */
export function nameOf(picture) {
  const parts = classParts(classOf(picture)).map(([name, weight]) =>
    weight < 1 ? `${Math.round(100 * weight)}% ${name}` : name,
  );
  const { seed } = splitPicture(picture);
  return parts.length ? `${seed} (${parts.join(", ")})` : `${seed}`;
}

/** The class of a sum of means, as the server finds it; undefined to leave that to the server. */
export function classOfSum(plus, minus) {
  if (!hasChosen([...plus, ...minus].flat())) return undefined;
  const sum = sumOfMeans(plus, minus);
  const found = sum.length ? sum : sumOfMeans(plus, []);
  return Object.fromEntries(found.sort(([, a], [, b]) => b - a).slice(0, MAX_MIXED));
}

/** The mean classes of groups, added and subtracted: `[name, weight]` of those above zero. */
function sumOfMeans(plus, minus) {
  const sum = new Map();
  const add = (group, sign) => {
    for (const [name, weight] of group.flatMap((picture) => classParts(classOf(picture)))) {
      sum.set(name, (sum.get(name) ?? 0) + (sign * weight) / group.length);
    }
  };
  for (const group of plus) add(group, 1);
  for (const group of minus) add(group, -1);
  return [...sum].filter(([, weight]) => weight > EPSILON);
}
