/* Images that are dragged by the mouse. A dialog offers the same to keyboards and to fingers. */

const TYPE = "application/x-seed";

/** Lets an element that shows a seed's image be dragged. */
export function draggable(element, seed) {
  element.draggable = true;
  element.addEventListener("dragstart", (event) => {
    event.dataTransfer.setData(TYPE, String(seed));
  });
}

/** Calls `take` with the seed of an image that is dropped on an element. */
export function target(element, take) {
  const over = (event) => event.dataTransfer.types.includes(TYPE);
  element.addEventListener("dragover", (event) => {
    if (!over(event)) return;
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) element.classList.remove("over");
  });
  element.addEventListener("drop", (event) => {
    if (!over(event)) return;
    event.preventDefault();
    element.classList.remove("over");
    take(Number(event.dataTransfer.getData(TYPE)));
  });
}
