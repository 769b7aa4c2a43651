/* The tools beside the stage, one of which is open, and their tabs. */

import { $ } from "./dom.js";
import { TOOLS, address, change, state } from "./state.js";

const tabs = [...document.querySelectorAll("#tools a")];

export function render(settled) {
  if (!settled) return;
  for (const tab of tabs) {
    tab.href = address({ tool: tab.dataset.tool });
    tab.ariaCurrent = tab.dataset.tool === state.tool ? "page" : null;
  }
  for (const name of TOOLS) $(name).hidden = name !== state.tool;
}

for (const tab of tabs) {
  tab.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab or window
    event.preventDefault();
    change({ tool: tab.dataset.tool });
  });
}
