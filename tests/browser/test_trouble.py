"""A server that is busy, not ready or gone: what the page says, and that it recovers by itself."""

import re
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect

from tests.browser.generators import publish
from tests.serving import serving

Open = Callable[..., Page]
Rest = Callable[[Page], None]


def forgive(complaints: list[str]) -> None:
    """Chromium itself complains of every request that fails; of nothing else may a page."""
    assert complaints
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []
    complaints.clear()


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_a_busy_server_is_waited_for(
    open_page: Open, complaints: list[str], root: Path, command: list[str], tmp_path: Path
) -> None:
    publish(tmp_path, "heavy", products=2)
    flags = ["--models", str(tmp_path), "--max-images", "16", "--max-queue", "16"]
    with serving([*command, *flags, "--max-batch", "1"], root, tmp_path / "log") as address:
        page = open_page("#panel=variations&seed=1", base=address)
        sheet = page.locator("#variations-sheet")
        expect(sheet).to_have_js_property("naturalWidth", 96)
        with ThreadPoolExecutor(2) as others:
            asked = [
                others.submit(httpx.post, f"{address}/generate?n=16", timeout=60) for _ in "12"
            ]
            # The queue has room for one of them: once the other is refused it is full.
            refused, _ = wait(asked, return_when=FIRST_COMPLETED)
            assert [answer.result().status_code for answer in refused] == [503]
            page.get_by_label("Seed", exact=True).fill("2")
            page.keyboard.press("Enter")
            expect(page.get_by_text("The server is busy.")).to_be_visible()
            expect(page.get_by_text(re.compile(r"Trying again in \d+ s"))).to_be_visible()
        expect(sheet).to_have_attribute("src", re.compile("seed=2&.*rows=3"))
        expect(sheet).to_have_js_property("naturalWidth", 96)
        expect(page.get_by_text("The server is busy.")).to_be_hidden()
    forgive(complaints)


def test_what_cannot_be_drawn_yet_is_an_empty_frame(open_page: Open, complaints: list[str]) -> None:
    page = open_page("#seed=42")
    page.route("**/images/**", lambda route: route.abort())
    page.get_by_label("From seed").fill("7")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    first = page.locator(".tile img").first
    expect(first).not_to_have_attribute("src", re.compile(""))
    with Image.open(BytesIO(first.screenshot())) as seen:
        # Between its rounded corners it is of one colour: Chromium's own frame is not there.
        frame = seen.convert("RGB").crop((0, 12, seen.width, seen.height - 12))
    assert len(frame.getcolors() or []) == 1
    page.unroute("**/images/**")
    page.get_by_role("button", name="Try now").click()
    expect(first).to_have_js_property("naturalWidth", 28)
    forgive(complaints)


def test_a_server_without_models_is_waited_for(
    open_page: Open,
    complaints: list[str],
    root: Path,
    served_models: Path,
    command: list[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "none").mkdir()
    with serving([*command, "--models", str(tmp_path / "none")], root, tmp_path / "log") as address:
        page = open_page("#seed=42", base=address)
        expect(page.get_by_text("The server is not ready: no model is served")).to_be_visible()
    full = [*command, "--models", str(served_models)]
    with serving(full, root, tmp_path / "second", port(address)):
        expect(page.locator(".tile").first).to_have_text("42")
        expect(page.locator(".tile img").first).to_have_js_property("naturalWidth", 28)
        expect(page.locator("#notice-words")).to_have_text("")
    forgive(complaints)


def test_a_server_that_went_away_may_come_back_without_a_model(
    open_page: Open,
    complaints: list[str],
    rest: Rest,
    root: Path,
    served_models: Path,
    command: list[str],
    tmp_path: Path,
) -> None:
    start = [*command, "--models", str(served_models)]
    with serving(start, root, tmp_path / "first") as address:
        page = open_page("#model=colours", base=address)
        rest(page)
    page.get_by_role("button", name="Random").click()
    gone = page.get_by_text("The server does not answer.")
    expect(gone).to_be_visible()
    publish(tmp_path / "others", "others")
    others = [*command, "--models", str(tmp_path / "others")]
    with serving(others, root, tmp_path / "second", port(address)):
        page.get_by_role("button", name="Try now").click()
        words = page.get_by_text("model is 'colours' but must be one of others")
        expect(words).to_be_visible()
        expect(gone).to_be_hidden()
        page.get_by_role("button", name="Dismiss").click()
        expect(words).to_be_hidden()
    forgive(complaints)
