/* Places on an element, by pointer and by the arrow keys. */

/** For each arrow key, its step to the right and down. */
export const ARROWS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** The place of a pointer: `[x, y]` from 0 to 1 on the element, from the left and from the top. */
export function placeOn(element, { clientX, clientY }) {
  const { left, top, width, height } = element.getBoundingClientRect();
  return [(clientX - left) / width, (clientY - top) / height];
}

/** Calls `follow(place, settled)` while a pointer is held down on an element, also outside it. */
export function bindPointer(element, follow) {
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    follow(placeOn(element, event), false);
  });
  element.addEventListener("pointermove", (event) => {
    if (element.hasPointerCapture(event.pointerId)) follow(placeOn(element, event), false);
  });
  element.addEventListener("pointerup", (event) => follow(placeOn(element, event), true));
}
