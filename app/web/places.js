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
  let place = null; // the latest
  const go = (event) => {
    place = placeOn(element, event);
    follow(place, false);
  };
  element.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return;
    element.setPointerCapture(event.pointerId);
    go(event);
  });
  // Back may hide the element while the pointer is held down.
  element.addEventListener("pointermove", (event) => {
    if (element.hasPointerCapture(event.pointerId) && element.clientWidth) go(event);
  });
  element.addEventListener("lostpointercapture", () => {
    if (element.clientWidth) follow(place, true);
  });
}
