"""A server that is busy, not ready or unreachable: the page says so, retries and recovers."""

import re
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect

from tests.browser.console import ignore_failed_requests
from tests.browser.generators import publish
from tests.browser.pictures import difference, pixels, stage, wait_for_tile
from tests.serving import serving

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_the_page_retries_while_the_server_is_busy(
    open_page: Open, console_errors: list[str], root: Path, command: list[str], tmp_path: Path
) -> None:
    publish(tmp_path, "heavy", products=1)
    flags = ["--models", str(tmp_path), "--max-images", "16", "--max-queue", "16"]
    with serving([*command, *flags, "--max-batch", "1"], root, tmp_path / "log") as address:
        page = open_page("?seed=1", base=address)
        wait_for_tile(page, 15)  # of a sheet with as few pictures as the server allows
        before = pixels(stage(page))
        with ThreadPoolExecutor(2) as others:
            sent = [others.submit(httpx.post, f"{address}/generate?n=16", timeout=60) for _ in "12"]
            # The queue has room for one of them: it is full once the other one is refused.
            refused, _ = wait(sent, return_when=FIRST_COMPLETED)
            assert [answer.result().status_code for answer in refused] == [503]
            # A sheet of 16 images has no room before the other request has ended.
            page.get_by_role("button", name="Random").click()
            expect(page.get_by_text("The server is busy.")).to_be_visible()
            expect(page.get_by_text(re.compile(r"Retrying in \d+ s"))).to_be_visible()
            # The old picture stays, dimmed.
            assert difference(pixels(stage(page)), before) == 0
            expect(stage(page)).to_have_css("opacity", "0.55")
        expect(page.get_by_text("The server is busy.")).to_be_hidden()
        expect(stage(page)).to_have_css("opacity", "1")
    ignore_failed_requests(console_errors)


def test_the_page_retries_while_no_model_is_served(
    open_page: Open,
    console_errors: list[str],
    root: Path,
    served_models: Path,
    command: list[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "none").mkdir()
    with serving([*command, "--models", str(tmp_path / "none")], root, tmp_path / "log") as address:
        page = open_page("?seed=42", base=address)
        expect(page.get_by_text("The server is not ready: no model is served")).to_be_visible()
    full = [*command, "--models", str(served_models)]
    with serving(full, root, tmp_path / "second", port(address)):
        expect(stage(page)).to_have_accessible_name("Picture 42 of the model fashion-mnist")
        expect(stage(page)).to_have_js_property("width", 28)
        expect(page.locator("#notice-message")).to_have_text("")
    ignore_failed_requests(console_errors)


def test_a_server_that_restarts_without_the_model_is_reported(
    open_page: Open,
    console_errors: list[str],
    wait_until_idle: WaitUntilIdle,
    root: Path,
    served_models: Path,
    command: list[str],
    tmp_path: Path,
) -> None:
    start = [*command, "--models", str(served_models)]
    with serving(start, root, tmp_path / "first") as address:
        page = open_page("?model=colours", base=address)
        wait_until_idle(page)
    page.get_by_role("button", name="Shuffle").click()
    unreachable = page.get_by_text("Can't reach the server.")
    expect(unreachable).to_be_visible()
    publish(tmp_path / "others", "others")
    others = [*command, "--models", str(tmp_path / "others")]
    with serving(others, root, tmp_path / "second", port(address)):
        detail = httpx.get(f"{address}/images/colours/1/0.png", timeout=60).json()["detail"]
        message = page.get_by_text(detail)
        expect(message).to_be_visible()
        expect(unreachable).to_be_hidden()
        page.get_by_role("button", name="Dismiss").click()
        expect(message).to_be_hidden()
    ignore_failed_requests(console_errors)
