/* Work that cannot keep up with a hand. */

import { report } from "./notice.js";

/** `work` that runs once at a time: of the calls meanwhile one is left, for the latest view. */
export function latest(work) {
  let running = false;
  let wanted = false;
  return async function run() {
    wanted = true;
    if (running) return;
    running = true;
    try {
      while (wanted) {
        wanted = false;
        await work().catch(report);
      }
    } finally {
      running = false;
    }
  };
}
