"""Chromium, a real server for it, and pages on which nothing may go wrong unseen."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.generators import publish
from tests.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
MOST = 30_000
"""Milliseconds that something takes on a page, whatever else the machine does."""
SMALL, LARGE = {"width": 360, "height": 740}, {"width": 1280, "height": 800}


@pytest.fixture(scope="session")
def served_models(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model, and one in colour whose images can be edited."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(models / "fashion-mnist", folder / "fashion-mnist")
    publish(folder, "colours")
    return folder


@pytest.fixture(scope="session")
def command() -> list[str]:
    """How a server is started."""
    return [sys.executable, "-m", "app", "--provider", "cpu", "--threads", "1"]


@pytest.fixture(scope="session")
def server(
    root: Path, served_models: Path, command: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a real server."""
    log = tmp_path_factory.mktemp("server") / "log"
    with serving([*command, "--models", str(served_models)], root, log) as address:
        yield address


# Playwright holds an event loop for as long as it runs, which other modules' tests must not meet.
@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Debian's Chromium, with an empty profile."""
    reason = "playwright is not installed; it is in the extra dev"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    playwright.expect.set_options(timeout=MOST)
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("chromium is not installed; on Debian: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=[*FLAGS])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What pages complained of: errors, and what their policy kept them from."""
    return []


@pytest.fixture
def under_way() -> set[object]:
    """The requests of pages that are not answered yet."""
    return set()


@pytest.fixture
def open_page(
    request: pytest.FixtureRequest,
    browser: "Browser",
    complaints: list[str],
    under_way: set[object],
) -> "Iterator[Callable[..., Page]]":
    """Opens a page of its own at an address below the server, with options of its context."""
    with ExitStack() as contexts:

        def opened(path: str = "", base: str = "", **options: Any) -> "Page":
            context: BrowserContext = browser.new_context(**{"viewport": LARGE} | options)
            contexts.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(MOST)
            page.on("console", lambda told: _note(complaints, told.type, told.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            # Playwright marks what it calls, and a method of a set takes no marks.
            page.on("request", lambda asked: under_way.add(asked))  # noqa: PLW0108
            for over in ("requestfinished", "requestfailed"):
                page.on(over, lambda asked: under_way.discard(asked))  # noqa: PLW0108
            page.goto(f"{base or request.getfixturevalue('server')}/{path}")
            return page

        yield opened
        assert complaints == []


@pytest.fixture
def rest(under_way: set[object]) -> "Callable[[Page], None]":
    """Waits until a page is there and has asked for nothing for a while."""

    def rested(page: "Page") -> None:
        page.wait_for_selector("body.ready")
        quiet, end = 0, time.monotonic() + 120
        while quiet < 4:
            assert time.monotonic() < end, under_way
            page.wait_for_timeout(25)
            quiet = 0 if under_way else quiet + 1

    return rested


def _note(complaints: list[str], kind: str, text: str) -> None:
    if kind in {"error", "warning"}:
        complaints.append(text)


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where screenshots are written: what SCREENSHOTS names, else a folder of pytest's."""
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
