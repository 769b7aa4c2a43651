/* Picture files that a person chooses, pastes or drops anywhere on the page. */

import { $, on } from "./dom.js";
import { showMessage } from "./notice.js";

const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];
const MAX_BYTES = 2 ** 24; // the limit of the server

/** Whether the server reads such files; shows the reason if not. */
function isReadable({ name, type, size }) {
  if (!TYPES.includes(type)) showMessage(`“${name}” is not a PNG, JPEG, WebP or GIF picture.`);
  else if (size > MAX_BYTES) showMessage(`“${name}” is too large: the limit is 16 MiB.`);
  else return true;
  return false;
}

/** Calls `onFile` with each file that is brought; `area` is marked while one is dragged. */
export function bindFiles(area, onFile) {
  const take = ([file]) => file && isReadable(file) && onFile(file);
  on("yours-choose", "click", () => $("yours-file").click());
  on("yours-file", "change", ({ target }) => {
    take(target.files);
    target.value = ""; // so that the same file can be chosen again
  });
  addEventListener("paste", ({ clipboardData }) => take(clipboardData.files));
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    area.classList.add("over");
  });
  addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) area.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    area.classList.remove("over");
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
}
