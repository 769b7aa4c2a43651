"""A server that requires an API key: the page asks for it and shows pictures."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, Route, expect

from tests.browser.console import ignore_failed_requests
from tests.browser.files import PASTE_TEXT
from tests.browser.pictures import stage, wait_for, wait_for_tile
from tests.serving import serving

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]

KEY = "a-key-for-the-page"


@pytest.fixture(scope="module")
def locked_server(
    root: Path, served_models: Path, command: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server that requires the key."""
    log = tmp_path_factory.mktemp("locked") / "log"
    flags = ["--models", str(served_models), "--api-keys", KEY]
    with serving([*command, *flags], root, log) as address:
        yield address


def test_the_form_says_when_a_key_is_wrong(
    open_page: Open, console_errors: list[str], wait_until_idle: WaitUntilIdle, locked_server: str
) -> None:
    page = open_page("?model=colours&seed=5", base=locked_server)
    field = page.get_by_label("This server needs an API key.")
    expect(field).to_be_focused()
    page.route("**/access", lambda route: route.abort(), times=1)
    field.fill(KEY)
    field.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(re.compile("^The server could not check"))
    for wrong in ("not-the-right-key", "no key in any ¢å§€"):
        field.fill(wrong)
        field.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("This key is wrong.")
    field.fill(KEY)
    held: list[Route] = []
    page.route("**/access", lambda route: held.append(route))  # noqa: PLW0108
    for _ in range(2):
        with page.expect_request("**/access"):
            page.get_by_role("button", name="Use key").click()
    wait_for(page, lambda: len(held) == 2)
    for route in held:
        with page.expect_event("requestfinished"):
            route.continue_()
    expect(field).to_be_hidden()
    expect(stage(page)).to_have_js_property("width", 32)
    wait_for_tile(page, 0)
    wait_until_idle(page)
    ignore_failed_requests(console_errors)
    # The key is now in a cookie that scripts cannot read.
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(stage(page)).to_have_js_property("width", 32)
    expect(field).to_be_hidden()
    page.context.clear_cookies()
    shuffle = page.get_by_role("button", name="Shuffle")
    shuffle.press("Enter")
    page.unroute("**/access")
    field.fill(KEY)
    field.press("Enter")
    expect(shuffle).to_be_focused()
    wait_until_idle(page)
    ignore_failed_requests(console_errors)


def test_a_check_of_a_key_that_gets_no_answer_ends(
    open_page: Open, console_errors: list[str], locked_server: str
) -> None:
    page = open_page("?model=colours&seed=5", base=locked_server)
    field = page.get_by_label("This server needs an API key.")
    expect(field).to_be_focused()
    page.clock.install()
    page.route("**/access", lambda _: None)
    with page.expect_request("**/access"):
        field.fill(KEY)
        field.press("Enter")
    page.clock.run_for(121_000)
    expect(page.get_by_role("alert")).to_have_text(re.compile("^The server could not check"))
    ignore_failed_requests(console_errors)


def test_a_cancelled_form_can_be_opened_later(
    open_page: Open, console_errors: list[str], wait_until_idle: WaitUntilIdle, locked_server: str
) -> None:
    page = open_page("?model=colours&seed=5", base=locked_server)
    field = page.get_by_label("This server needs an API key.")
    held: list[Route] = []
    page.route("**/access", lambda route: held.append(route), times=1)  # noqa: PLW0108
    with page.expect_request("**/access"):
        field.fill("not-the-right-key")
        field.press("Enter")
    page.get_by_role("button", name="Cancel").click()
    wait_for(page, lambda: held)
    held.pop().continue_()  # too late
    missing = page.get_by_text("No key, so no pictures yet.")
    expect(missing).to_be_visible()
    page.evaluate(PASTE_TEXT)
    page.get_by_role("button", name="Dismiss").click()  # a message took the place of the button
    page.get_by_role("button", name="Shuffle").click()
    wait_until_idle(page)
    expect(missing).to_be_visible()
    expect(field).to_be_hidden()  # it does not insist
    page.get_by_role("button", name="Enter key").click()
    expect(page.locator("#key-error")).to_be_empty()
    field.fill(KEY)
    field.press("Enter")
    expect(stage(page)).to_have_js_property("width", 32)
    wait_for_tile(page, 0)
    expect(page.get_by_text("No key, so no pictures yet.")).to_be_hidden()
    ignore_failed_requests(console_errors)
