"""The page of a model whose pictures are four times as high as wide."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page

from tests import painting
from tests.serving import serving

Open = Callable[..., Page]

SHAPE = 4


@pytest.fixture(scope="module")
def tall_server(
    root: Path, command: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("tall")
    painting.publish("tall", folder / "models")
    with serving([*command, "--models", str(folder / "models")], root, folder / "log") as address:
        yield address


def size(page: Page, selector: str) -> tuple[float, float]:
    """The width and the height of the first element."""
    box = page.locator(selector).first.bounding_box()
    assert box
    return box["width"], box["height"]


@pytest.mark.parametrize(
    ("tool", "whole", "part"),
    [("vary", "#vary-tiles", "#vary-tiles .open canvas"), ("blend", "#blend-pad", "#blend-sheet")],
)
def test_tools_keep_the_proportions_and_are_no_taller_than_the_stage(
    open_page: Open, tall_server: str, tool: str, whole: str, part: str
) -> None:
    page = open_page(f"?model=tall&tool={tool}", base=tall_server)
    page.wait_for_function(
        f"() => document.querySelector('{part}')?.height === {SHAPE} * "
        f"document.querySelector('{part}')?.width"
    )
    width, height = size(page, part)
    assert height == pytest.approx(SHAPE * width, rel=0.05)
    assert size(page, whole)[1] <= size(page, "#stage .frame")[1]
