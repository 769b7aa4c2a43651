"""A server that takes a key: the page asks for it once, and its images are drawn."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Dialog, Page, expect

from tests.browser.test_trouble import forgive
from tests.serving import serving

Open = Callable[..., Page]
Rest = Callable[[Page], None]

KEY = "a-key-for-the-page"


@pytest.fixture(scope="module")
def locked(
    root: Path, served_models: Path, command: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server that draws for those with the key."""
    log = tmp_path_factory.mktemp("locked") / "log"
    flags = ["--models", str(served_models), "--api-keys", KEY]
    with serving([*command, *flags], root, log) as address:
        yield address


def entering(page: Page, *answers: str | None) -> list[str]:
    """Lets the page be answered so, one after another; gives what it asked."""
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        given = answers[len(asked)]
        asked.append(dialog.message)
        dialog.dismiss() if given is None else dialog.accept(given)

    page.on("dialog", answer)
    return asked


def test_the_page_asks_for_the_key_until_it_is_right(
    open_page: Open, complaints: list[str], rest: Rest, locked: str
) -> None:
    page = open_page("health/live", base=locked)
    asked = entering(page, "not-the-right-key", "no key in any ¢å§€", KEY)
    page.goto(f"{locked}/#seed=5")
    first = page.locator("#tiles img").first
    expect(first).to_have_js_property("naturalWidth", 28)
    rest(page)
    assert asked == ["Drawing takes a key. Which is yours?"] * 3
    forgive(complaints)
    # From now on the browser is known, and no script can read by what.
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(first).to_have_js_property("naturalWidth", 28)
    rest(page)
    assert len(asked) == 3


def test_who_has_no_key_is_asked_once(
    open_page: Open, complaints: list[str], rest: Rest, locked: str
) -> None:
    page = open_page("health/live", base=locked)
    asked = entering(page, None)
    page.goto(f"{locked}/#seed=5")
    expect(page.get_by_text("Nothing is drawn without a key.")).to_be_visible(timeout=20_000)
    rest(page)
    assert len(asked) == 1
    forgive(complaints)
