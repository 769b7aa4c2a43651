/* Drag and drop of pictures by mouse. The dialog offers the same to keyboard and touch. */

const TYPE = "application/x-picture";

/** Makes an element draggable; the drag carries its `picture`. */
export function makeDraggable(element) {
  element.draggable = true;
  element.addEventListener("dragstart", (event) => {
    event.dataTransfer.setData(TYPE, element.picture);
  });
}

/** Calls `onDrop` with the picture that is dropped on an element. */
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
    onDrop(event.dataTransfer.getData(TYPE));
  });
}
