"""A server that is busy, not ready or unreachable: the page says so, retries and recovers."""

import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect

from tests.bench.serving import free_port
from tests.browser.console import ignore_failed_requests
from tests.browser.files import PASTE_TEXT
from tests.browser.generators import publish
from tests.browser.pictures import difference, pixels, stage, wait_for, wait_for_tile
from tests.prometheus import value
from tests.serving import serving
from tests.waiting import PATIENCE, eventually

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]

LONGEST_WAIT = 16_000
"""Milliseconds of the page's clock, after which it has tried again."""
MAX_SILENCE = 120_000
"""Milliseconds without a byte, after which the page takes the server for unreachable."""
CUT = """path => {
  const whole = window.fetch;
  window.fetch = async (address, options) => {
    if (!address.startsWith(path)) return whole(address, options);
    window.fetch = whole;
    const lose = (stream) => {
      stream.enqueue(new Uint8Array(9));
      options.signal.addEventListener("abort", () => stream.error(options.signal.reason));
    };
    return new Response(new ReadableStream({ start: lose }));
  };
}"""
"""Loses the network after the first bytes of the next response whose path begins like this."""


@contextmanager
def stalled(folder: Path) -> Iterator[None]:
    """The engine of a server that is broken on demand stands still meanwhile."""
    (folder / "stall").touch()
    try:
        yield
    finally:
        (folder / "stall").unlink()


def waiting(address: str) -> float:
    """The length of the queue."""
    text = httpx.get(f"{address}/metrics", timeout=PATIENCE).text
    return value(text, "dcgan_queue_images")


def freeze(page: Page) -> None:
    """Stop the page's clock, except for `page.clock.run_for`."""
    page.clock.install(time=0)
    page.clock.pause_at(1)


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_the_page_retries_while_the_server_is_busy(
    open_page: Open,
    console_errors: list[str],
    wait_until_idle: WaitUntilIdle,
    root: Path,
    tmp_path: Path,
) -> None:
    publish(tmp_path / "models", "colours")
    command = [sys.executable, "-m", "tests.process.faults.broken", str(tmp_path)]
    flags = ["--models", str(tmp_path / "models"), "--provider", "cpu", "--max-batch", "1"]
    flags += ["--max-images", "16", "--max-queue", "16", "--timeout", "600", "--stalled", "600"]
    with serving([*command, *flags], root, tmp_path / "log") as address:
        page = open_page("?seed=1", base=address)
        wait_for_tile(page, 15)  # of a sheet with as few pictures as the server allows
        wait_until_idle(page)
        before = pixels(stage(page))
        with ThreadPoolExecutor(1) as others, stalled(tmp_path):
            other = others.submit(httpx.post, f"{address}/generate?n=16", timeout=600)
            eventually(lambda: waiting(address) == 15)
            # A sheet of 16 images has no room before the other request has ended.
            page.get_by_role("button", name="Random").click()
            expect(page.get_by_text("The server is busy.")).to_be_visible()
            expect(page.get_by_text(re.compile(r"Retrying in \d+ s"))).to_be_visible()
            # The old picture stays, dimmed.
            assert difference(pixels(stage(page)), before) == 0
            expect(stage(page)).to_have_css("opacity", "0.55")
        assert other.result().is_success
        expect(page.get_by_text("The server is busy.")).to_be_hidden()
        expect(stage(page)).to_have_css("opacity", "1")
    ignore_failed_requests(console_errors)


def test_a_failure_is_told_without_the_countdown_of_another(
    open_page: Open, console_errors: list[str]
) -> None:
    page = open_page("?model=colours&seed=3")
    wait_for_tile(page, 0)
    page.clock.install()
    busy = {"Retry-After": "9"}
    page.route("**/images/**", lambda route: route.fulfill(status=503, headers=busy, json={}))
    page.get_by_role("button", name="Shuffle").click()
    wait = page.locator("#notice-wait")
    expect(wait).not_to_be_empty()
    page.evaluate(PASTE_TEXT)
    expect(page.get_by_role("button", name="Dismiss")).to_be_visible()
    page.clock.run_for(1500)
    expect(wait).to_be_empty()
    page.route("**/models", lambda route: route.fulfill(status=500, json={"detail": "broken"}))
    page.reload()
    expect(page.locator("#notice-message")).to_have_text("broken")
    ignore_failed_requests(console_errors)


def test_a_server_that_never_answers_is_unreachable(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page("?model=colours&seed=3")
    wait_until_idle(page)
    freeze(page)
    page.route("**/images/**", lambda _: None, times=1)
    with page.expect_request("**/images/**"):
        page.get_by_role("button", name="Shuffle").click()
    unreachable = page.get_by_text("Can't reach the server.")
    page.clock.run_for(MAX_SILENCE - 1000)
    expect(unreachable).to_be_hidden()
    page.clock.run_for(1000)
    expect(unreachable).to_be_visible()
    with page.expect_response("**/images/**"):
        page.clock.run_for(LONGEST_WAIT)
    expect(unreachable).to_be_hidden()


def test_a_response_that_never_ends_is_requested_again(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page("?model=colours&seed=3")
    wait_until_idle(page)
    freeze(page)
    page.evaluate(CUT, "images/")
    page.get_by_role("button", name="Shuffle").click()
    unreachable = page.get_by_text("Can't reach the server.")
    wait_for(page, lambda: page.evaluate("fetch.toString().includes('native')"))
    page.clock.run_for(MAX_SILENCE)
    expect(unreachable).to_be_visible()
    with page.expect_response("**/images/**"):
        page.clock.run_for(LONGEST_WAIT)
    expect(unreachable).to_be_hidden()


@pytest.mark.parametrize(
    ("tool", "result"), [("mix", "#mix-result canvas"), ("blend", "#blend-sheet")]
)
def test_no_picture_stands_for_one_that_cannot_be_drawn(
    open_page: Open,
    console_errors: list[str],
    wait_until_idle: WaitUntilIdle,
    tool: str,
    result: str,
) -> None:
    page = open_page(f"?model=colours&seed=3&tool={tool}")
    wait_until_idle(page)
    shown = stage(page), page.locator(result)
    assert all(pixels(canvas).any() for canvas in shown)
    broken = re.compile("/(images|generate|v2)[/?]")
    page.route(broken, lambda route: route.fulfill(status=500, json={"detail": "broken"}))
    page.get_by_role("button", name="Shuffle").click()
    page.evaluate("pins => history.pushState(null, '', location.search + pins)", "&start=7&pins=8")
    page.evaluate("dispatchEvent(new PopStateEvent('popstate'))")
    wait_for(page, lambda: not any(pixels(canvas).any() for canvas in shown))
    expect(page.locator("#notice-message")).to_have_text("broken")
    page.unroute(broken)
    page.get_by_role("button", name="Shuffle").click()
    page.go_back()
    wait_for(page, lambda: all(pixels(canvas).any() for canvas in shown))
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
    none = [*command, "--models", str(tmp_path / "none")]
    with serving(none, root, tmp_path / "log", free_port()) as address:
        page = open_page("?seed=42", base=address)
        expect(page.get_by_text("The server is not ready: no model is served")).to_be_visible()
        page.clock.install()
    full = [*command, "--models", str(served_models)]
    with serving(full, root, tmp_path / "second", port(address)):
        page.clock.run_for(LONGEST_WAIT)
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
    with serving(start, root, tmp_path / "first", free_port()) as address:
        page = open_page("?model=colours", base=address)
        wait_until_idle(page)
    page.clock.install()
    page.get_by_role("button", name="Shuffle").click()
    unreachable = page.get_by_text("Can't reach the server.")
    expect(unreachable).to_be_visible()
    publish(tmp_path / "others", "others")
    others = [*command, "--models", str(tmp_path / "others")]
    with serving(others, root, tmp_path / "second", port(address)):
        page.clock.run_for(LONGEST_WAIT)
        detail = httpx.get(f"{address}/images/colours/1/0.png", timeout=60).json()["detail"]
        message = page.get_by_text(detail)
        expect(message).to_be_visible()
        expect(unreachable).to_be_hidden()
        page.get_by_role("button", name="Dismiss").click()
        expect(message).to_be_hidden()
    ignore_failed_requests(console_errors)
