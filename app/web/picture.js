/* The text of classes and pictures. A picture is a seed, or a seed and a class: `17:sneaker`. */

export const SEED_COUNT = 2 ** 32;
const NAME = String.raw`[a-z\d][\w-]*`;
const CLASS = new RegExp(String.raw`^(${NAME})(?::0\.\d+[+ ](${NAME}):(0\.\d+))?$`);
const SHARES = [0.05, 0.95]; // of a class in a mixture

/** The text of a mixture of two classes, such as `sneaker:0.7+bag:0.3`; `share` is the second's. */
export function mixture(first, second, share) {
  const [rest, part] = [1 - share, share].map((one) =>
    Number(Math.min(Math.max(one, SHARES[0]), SHARES[1]).toFixed(2)),
  );
  return `${first}:${rest}+${second}:${part}`;
}

/** A class or a mixture of two in this notation; undefined if the text is neither. */
export function readClass(text) {
  const [, first, second, share] = CLASS.exec(text) ?? [];
  return second && second !== first ? mixture(first, second, share) : first;
}

/** The classes in a text: `[name, weight]` each. */
export const classParts = (text) =>
  text
    .split("+")
    .filter(Boolean)
    .map((part) => part.split(":"))
    .map(([name, weight = 1]) => [name, Number(weight)]);

/** The picture of a seed; without a class, it has the seed's own. */
export const makePicture = (seed, ofClass = "") => (ofClass ? `${seed}:${ofClass}` : `${seed}`);

/** The seed of a picture, and its class if it has another than the seed's own. */
export function splitPicture(picture) {
  const [seed, ...ofClass] = picture.split(":");
  return { seed: Number(seed), ofClass: ofClass.join(":") };
}

/** The picture in a text; undefined if there is none. */
export function readPicture(text) {
  const [, seed, ofClass = ""] = /^(\d{1,10})(?::(.*))?$/.exec(text) ?? [];
  return Number(seed) < SEED_COUNT ? makePicture(Number(seed), readClass(ofClass)) : undefined;
}
