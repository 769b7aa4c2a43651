"""Scripts by which the bitmaps of a page arrive late."""

HOLD = """() => {
    const make = createImageBitmap;
    const gate = new Promise((open) => { window.release = open; });
    window.made = [];
    window.begun = new Promise((resolve) => {
        window.createImageBitmap = (...options) => {
            resolve();
            made.push(gate.then(() => make(...options)));
            return made.at(-1);
        };
    });
}"""
"""Holds back all bitmaps; the promise `begun` resolves with the first request for one."""
RELEASE = "async () => { release(); for (const one of made) await one; }"
"""Lets all of them arrive."""
