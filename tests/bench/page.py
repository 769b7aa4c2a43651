"""The page compared with the one before it, which requested every picture by itself.

    python -m tests.bench.page [--former COMMIT] [--rounds 5] [--only clothes] [--out FILE]

Both are opened in Chromium, in turn, each served by its own commit on one thread. Measured are the
time to the first picture, on loopback and over a slow network (150 ms, 1.6 Mbit/s); requests and
seconds for 54 pictures of clothes; updates per second while a slider of faces moves; the share of
tiles without a picture while the gallery scrolls by 1600 pixels per second; layout shift.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
FORMER = "c4c79ad"
PICTURES = re.compile("/images/|/grid|/generate|/variations")
WINDOW = {"width": 1280, "height": 1600}
CLOTHES = 54
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 2e5, "uploadThroughput": 2e5}
DRAG_STEPS = 120
_WATCH = """() => {
    window.updates = 0;
    const draw = CanvasRenderingContext2D.prototype.drawImage;
    CanvasRenderingContext2D.prototype.drawImage = function (...given) {
        if (this.canvas.id === 'stage-picture') window.updates += 1;
        return draw.apply(this, given);
    };
    const count = ({ target }) => { window.updates += target.matches?.('.tile:first-child img'); };
    addEventListener('load', count, { capture: true });
    window.shift = 0;
    new PerformanceObserver((list) => {
        for (const { value, hadRecentInput } of list.getEntries()) {
            if (!hadRecentInput) window.shift += value;
        }
    }).observe({ type: 'layout-shift', buffered: true });
}"""
_SCROLL = """async (drawn) => {
    const isDrawn = new Function('tile', `return ${drawn}`);
    const start = performance.now();
    const blanks = [];
    for (let now = start; now < start + 3000; now = await new Promise(requestAnimationFrame)) {
        scrollTo(0, 1.6 * (now - start));
        const seen = [...document.querySelectorAll('.tile')].filter((tile) => {
            const { top, bottom } = tile.getBoundingClientRect();
            return bottom > 0 && top < innerHeight;
        });
        blanks.push(seen.filter((tile) => !isDrawn(tile)).length / (seen.length || 1));
    }
    return blanks.reduce((sum, blank) => sum + blank, 0) / blanks.length;
}"""


@dataclass(frozen=True)
class Side:
    """One of the two pages."""

    address: str
    separator: str
    """What stands between the path and the state of the page."""
    drawn: str
    """JavaScript: whether ``tile`` shows its picture."""
    first: str
    """JavaScript: whether the first picture is in sight."""

    def url(self, model: str) -> str:
        """The page with this model."""
        return f"{self.address}/{self.separator}model={model}"


def main() -> None:
    options = arguments()
    results: dict[str, dict[str, list[float]]] = {}
    chosen = {what: measure for what, measure in MEASURES.items() if options.only in what}
    with sides(options.former) as both, chromium() as browser:
        for _ in range(options.rounds):
            for name, side in both.items():
                for what, measure in chosen.items():
                    values = results.setdefault(what, {}).setdefault(name, [])
                    with opened(browser) as page:
                        values.append(measure(page, side))
    medians = {
        what: {name: median(values) for name, values in found.items()}
        for what, found in results.items()
    }
    for what, found in medians.items():
        print(f"{what:44}{found['former']:10.2f}{found['current']:10.2f}")
    if options.out:
        options.out.write_text(json.dumps({"medians": medians, "rounds": results}, indent=2) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--former", default=FORMER, help="the commit of the page before")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="measure only what has this text in its name")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    return parser.parse_args()


@contextmanager
def sides(former: str) -> Iterator[dict[str, Side]]:
    """Both pages, each on its own server."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        archive = subprocess.run(
            ["git", "archive", former, "app", "models"], cwd=ROOT, check=True, capture_output=True
        )
        subprocess.run(["tar", "-x"], cwd=folder, check=True, input=archive.stdout)
        command = [sys.executable, "-m", "app", "--threads", "1", "--access-log", "false"]
        old = stack.enter_context(serving(command, folder, folder / "log"))
        new = stack.enter_context(serving(command, ROOT, folder / "log2"))
        first = "document.querySelector('.tile img')?.naturalWidth > 0"
        image = "document.getElementById('stage-first')"
        canvas = "document.getElementById('stage-picture')"
        yield {
            "former": Side(old, "#", "tile.querySelector('img')?.naturalWidth > 0", first),
            "current": Side(
                new,
                "?",
                "tile.querySelector('canvas').width > 1",
                f"{image}?.naturalWidth > 0 || {canvas}.width > 1",
            ),
        }


@contextmanager
def chromium() -> "Iterator[Browser]":
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        yield browser
        browser.close()


@contextmanager
def opened(browser: "Browser") -> "Iterator[Page]":
    """An empty page without a cache, whose updates and shifts are counted."""
    context: Any = browser.new_context(viewport=WINDOW, bypass_csp=True)
    page = context.new_page()
    page.add_init_script(f"({_WATCH})()")
    yield page
    context.close()


def first_picture(page: "Page", side: Side) -> float:
    """Seconds from the request for the page to its first picture."""
    page.goto(side.url("faces"), wait_until="commit")
    return _seconds_until(page, side.first)


def first_picture_slow(page: "Page", side: Side) -> float:
    """The same over a slow network."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW)
    return first_picture(page, side)


def _seconds_until(page: "Page", condition: str) -> float:
    page.wait_for_function(condition, polling="raf", timeout=60_000)
    now: float = page.evaluate("performance.now()")
    return now / 1000


def _drawn(page: "Page", side: Side) -> float:
    """Open the gallery of clothes; returns the seconds until so many pictures are there."""
    page.goto(side.url("fashion-mnist"), wait_until="commit")
    tiles = "[...document.querySelectorAll('.tile')]"
    return _seconds_until(page, f"{tiles}.filter((tile) => {side.drawn}).length >= {CLOTHES}")


def requests(page: "Page", side: Side) -> float:
    """Requests for pictures until the gallery has so many."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    _drawn(page, side)
    return sum(1 for url in sent if PICTURES.search(url))


def updates(page: "Page", side: Side) -> float:
    """Updates of the picture per second while the first slider moves from end to end."""
    page.goto(side.url("faces"))
    slider = page.get_by_role("slider", name="beard")
    page.wait_for_selector("body.ready")
    page.wait_for_timeout(1500)
    box = slider.bounding_box()
    assert box is not None
    page.evaluate("window.updates = 0")
    before: float = page.evaluate("performance.now()")
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for k in range(DRAG_STEPS):
        page.mouse.move(box["x"] + box["width"] * k / DRAG_STEPS, box["y"] + box["height"] / 2)
        page.wait_for_timeout(1000 / 60)
    count, now = page.evaluate("[window.updates, performance.now()]")
    page.mouse.up()
    return float(count / (now - before) * 1000)


def blank(page: "Page", side: Side) -> float:
    """Percentage of tiles in sight without a picture while the gallery scrolls."""
    _drawn(page, side)
    return 100 * float(page.evaluate(_SCROLL, side.drawn))


def shift(page: "Page", side: Side) -> float:
    """Cumulative layout shift in the first two seconds."""
    page.goto(side.url("faces"))
    page.wait_for_timeout(2000)
    return float(page.evaluate("window.shift"))


MEASURES: dict[str, Callable[["Page", Side], float]] = {
    "first picture, s": first_picture,
    "first picture at 150 ms and 1.6 Mbit/s, s": first_picture_slow,
    f"{CLOTHES} clothes, s": _drawn,
    f"requests for {CLOTHES} clothes": requests,
    "updates per second of a slider": updates,
    "blank tiles at 1600 px/s, %": blank,
    "layout shift": shift,
}


if __name__ == "__main__":
    main()
