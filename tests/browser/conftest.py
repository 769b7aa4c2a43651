"""Fixtures: Chromium, a server process, and pages whose console errors fail the test."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import conditional, encoding, painting
from tests.browser.generators import publish
from tests.serving import serving
from tests.waiting import PATIENCE, scaled

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
TIMEOUT_MS = 30_000
"""Long enough for one step on a page while the machine is busy with other tests."""
LARGE = {"width": 1280, "height": 800}
FRAME = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
"""Ends when the next frame has been rendered."""
TOO_LATE = "was preloaded using link preload but not used within a few seconds"
"""In a warning about pages whose scripts run late, as on a busy machine."""
LEVEL_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture(scope="session")
def served_models(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models: `fashion-mnist`, `clothes` with classes, `people` with attributes, and `colours`.

    `colours` and `people` have attributes to edit. `fashion-mnist` has a made-up version 1, too.
    `shoes`, which has classes, and `colour` have encoders that undo their generators.
    """
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(models / "fashion-mnist", folder / "fashion-mnist")
    for name in ("colours", "clothes", "people", "fashion-mnist"):
        publish(folder, name)
    conditional.publish("shoes", folder)
    painting.publish("colour", folder)
    for name in ("shoes", "colour"):
        encoding.add(folder / name / "1")
    return folder


@pytest.fixture(scope="session")
def command() -> list[str]:
    """The command that starts a server, without its models."""
    return [sys.executable, "-m", "app", "--provider", "cpu", "--threads", "1"]


@pytest.fixture(scope="session")
def server(
    root: Path, served_models: Path, command: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server process that all modules share."""
    log = tmp_path_factory.mktemp("server") / "log"
    with serving([*command, "--models", str(served_models)], root, log) as address:
        yield address


# While Playwright runs, it holds an event loop, so that tests of other folders could not start one.
@pytest.fixture(scope="package")
def browser() -> "Iterator[Browser]":
    """Debian's Chromium with an empty profile."""
    reason = "playwright is not installed; it is in the extra dev"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    playwright.expect.set_options(timeout=TIMEOUT_MS)
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("chromium is not installed; on Debian: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium, args=[*FLAGS], timeout=1000 * scaled(PATIENCE)
        )
        yield browser
        browser.close()


@pytest.fixture
def console_errors() -> list[str]:
    """Console errors and warnings of all pages, violations of the CSP included."""
    return []


@pytest.fixture
def pending_requests() -> set[object]:
    """Requests of all pages that have no response yet."""
    return set()


@pytest.fixture
def open_page(
    request: pytest.FixtureRequest,
    browser: "Browser",
    console_errors: list[str],
    pending_requests: set[object],
) -> "Iterator[Callable[..., Page]]":
    """Returns a function that opens a path of the server in a new browser context."""
    with ExitStack() as contexts:

        def opened(path: str = "", base: str = "", **options: Any) -> "Page":
            context: BrowserContext = browser.new_context(**{"viewport": LARGE} | options)
            contexts.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(TIMEOUT_MS)
            page.on("console", lambda entry: _note(console_errors, entry.type, entry.text))
            page.on("pageerror", lambda error: console_errors.append(str(error)))
            # Playwright sets attributes on a listener, which a method of a set does not allow.
            page.on("request", lambda sent: pending_requests.add(sent))  # noqa: PLW0108
            for event in ("requestfinished", "requestfailed"):
                page.on(event, lambda sent: pending_requests.discard(sent))  # noqa: PLW0108
            page.goto(f"{base or request.getfixturevalue('server')}/{path}")
            return page

        yield opened
        assert console_errors == []


@pytest.fixture
def violations() -> "Callable[[Page], list[str]]":
    """Returns a function that lists violations of WCAG level AA found by axe-core."""
    reason = "axe-playwright-python is not installed; it is in the extra dev"
    axe: Any = pytest.importorskip("axe_playwright_python.sync_playwright", reason=reason)
    options = {"runOnly": {"type": "tag", "values": LEVEL_AA}, "resultTypes": ["violations"]}

    def found(page: "Page") -> list[str]:
        violated = axe.Axe().run(page, options=options).response["violations"]
        return [
            json.dumps([one["id"], [node["html"] for node in one["nodes"]]]) for one in violated
        ]

    return found


@pytest.fixture
def wait_until_idle(pending_requests: set[object]) -> "Callable[[Page], None]":
    """Returns a function that waits until a page has done nothing for as long as six frames take.

    The page looks at what has come into sight when it renders, however late a busy machine does.
    """

    def wait(page: "Page") -> None:
        page.wait_for_selector("body.ready")
        quiet, end = 0, time.monotonic() + scaled(120)
        while quiet < 6:
            assert time.monotonic() < end, pending_requests
            page.evaluate(FRAME)
            working = pending_requests or page.locator("[aria-busy=true]").count()
            quiet = 0 if working else quiet + 1

    return wait


def _note(console_errors: list[str], kind: str, text: str) -> None:
    if kind in {"error", "warning"} and TOO_LATE not in text:
        console_errors.append(text)


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """The folder for screenshots: the environment variable SCREENSHOTS, or a temporary one."""
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
