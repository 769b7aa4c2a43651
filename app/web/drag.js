/* Drag and drop of pictures by mouse. The dialog offers the same to keyboard and touch. */

const TYPE = "application/x-seed";

/** Makes an element draggable; the drag carries the seed. */
export function makeDraggable(element, seed) {
  element.draggable = true;
  element.addEventListener("dragstart", (event) => {
    event.dataTransfer.setData(TYPE, String(seed));
  });
}

/** Calls `onDrop` with the seed of a picture that is dropped on an element. */
export function makeDropTarget(element, onDrop) {
  const accepts = (event) => event.dataTransfer.types.includes(TYPE);
  element.addEventListener("dragover", (event) => {
    if (!accepts(event)) return;
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) element.classList.remove("over");
  });
  element.addEventListener("drop", (event) => {
    if (!accepts(event)) return;
    event.preventDefault();
    element.classList.remove("over");
    onDrop(Number(event.dataTransfer.getData(TYPE)));
  });
}
