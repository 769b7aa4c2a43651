"""A server that requires an API key: the page prompts for it and shows pictures."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Dialog, Page, expect

from tests.browser.test_unavailable import ignore_failed_requests
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


def answer_prompts(page: Page, *answers: str | None) -> list[str]:
    """Answer the page's prompts in this order, None to cancel; returns the prompts so far."""
    prompts: list[str] = []

    def answer(dialog: Dialog) -> None:
        text = answers[len(prompts)]
        prompts.append(dialog.message)
        dialog.dismiss() if text is None else dialog.accept(text)

    page.on("dialog", answer)
    return prompts


def test_the_page_prompts_until_the_key_is_valid(
    open_page: Open, console_errors: list[str], wait_until_idle: WaitUntilIdle, locked_server: str
) -> None:
    page = open_page("health/live", base=locked_server)
    prompts = answer_prompts(page, "not-the-right-key", "no key in any ¢å§€", KEY)
    page.goto(f"{locked_server}/#seed=5")
    first = page.locator("#tiles img").first
    expect(first).to_have_js_property("naturalWidth", 28)
    wait_until_idle(page)
    assert prompts == ["This server needs an API key."] * 3
    ignore_failed_requests(console_errors)
    # The key is now in a cookie that scripts cannot read.
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(first).to_have_js_property("naturalWidth", 28)
    wait_until_idle(page)
    assert len(prompts) == 3


def test_a_cancelled_prompt_is_not_repeated(
    open_page: Open, console_errors: list[str], wait_until_idle: WaitUntilIdle, locked_server: str
) -> None:
    page = open_page("health/live", base=locked_server)
    prompts = answer_prompts(page, None)
    page.goto(f"{locked_server}/#seed=5")
    expect(page.get_by_text("No key, so no pictures.")).to_be_visible(timeout=20_000)
    wait_until_idle(page)
    assert len(prompts) == 1
    ignore_failed_requests(console_errors)
