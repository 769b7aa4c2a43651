"""Pictures that a person brings or draws: the models "shoes" and "colour" find them exactly."""

import io
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from tests.browser.bitmaps import HOLD, RELEASE
from tests.browser.console import ignore_failed_requests
from tests.browser.pictures import (
    Pixels,
    decoded,
    difference,
    pixels,
    stage,
    tile,
    wait_for,
    wait_for_stage,
    wait_for_tile,
)
from tests.conditional import FULL
from tests.serving import serving

Open = Callable[..., Page]
Strokes = Sequence[Sequence[tuple[int, int]]]

SHOES = "?model=shoes&seed=3&tool=yours"
SNEAKER = [[0, FULL, 0, 0], [112, 120, 128, 136], [144, 136, 128, 120]]
"""Grey levels of an image of "shoes": the first row is its class, see tests.conditional."""
BOOT = [[FULL, 0, 0, 0], [120, 112, 136, 128], [136, 144, 120, 128]]
COLOUR = [[[200, 100, 90], [128, 60, 70]], [[120, 150, 140], [90, 128, 180]]]
DIGITS: dict[str, Strokes] = {
    "7": [[(7, 6), (20, 6), (12, 23)]],
    "3": [[(8, 6), (18, 6), (13, 13), (19, 18), (14, 23), (8, 21)]],
    "4": [[(9, 5), (8, 14), (20, 14)], [(18, 5), (18, 24)]],
}
"""Strokes on 28 × 28 pixels."""
BRING = """([type, bytes]) => {
    const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(bytes)], 'mine.png', { type: 'image/png' }));
    const options = { bubbles: true, cancelable: true };
    document.body.dispatchEvent(
        type === 'paste'
            ? new ClipboardEvent(type, { ...options, clipboardData: files })
            : new DragEvent(type, { ...options, dataTransfer: files }),
    );
}"""

RECORD = """() => {
    const send = fetch;
    window.fetch = (path, options) => {
        if (path.startsWith('encode')) window.sent = options.body;
        return send(path, options);
    };
}"""


def png(levels: object) -> bytes:
    """A file with these pixels."""
    file = io.BytesIO()
    Image.fromarray(np.array(levels, np.uint8)).save(file, "PNG")
    return file.getvalue()


def in_colours(levels: object) -> Pixels:
    """Pixels ``(height, width, 3)`` as the page shows grey levels."""
    return np.array(levels, np.uint8)[..., None].repeat(3, axis=2)


def choose(page: Page, content: bytes, name: str = "mine.png", kind: str = "image/png") -> None:
    """Choose a file with the button."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose picture").click()
    chooser.value.set_files(FilePayload(name=name, mimeType=kind, buffer=content))


def pad(page: Page) -> Locator:
    return page.locator("#yours-canvas")


def result(page: Page) -> Locator:
    """The network's picture, once it is there."""
    expect(page.locator("#yours")).to_have_attribute("aria-busy", "false")
    return wait_for_tile(page, 0, "#yours-result")


def draw(page: Page, strokes: Strokes, side: int) -> None:
    """Draw on the pad with the mouse, whose places are in pixels of a width of ``side``."""
    pad(page).scroll_into_view_if_needed()
    box = pad(page).bounding_box()
    assert box is not None
    for stroke in strokes:
        places = [
            (box["x"] + x * box["width"] / side, box["y"] + y * box["width"] / side)
            for x, y in stroke
        ]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=4)
        page.mouse.up()


@pytest.mark.parametrize("model", ["shoes", "colour"])
def test_the_tool_opens_on_an_example(open_page: Open, model: str) -> None:
    page = open_page(f"?model={model}&seed=3")
    page.wait_for_selector("body.ready")
    with page.expect_request(re.compile("/encode")) as sent:
        page.get_by_role("link", name="Yours").click()
    assert sent.value.url.endswith("refine=0")  # no search that nobody has asked for
    expect(page.locator("#yours-found")).to_have_text(re.compile(r"^An example\. "))
    found = pixels(result(page))
    assert difference(pixels(pad(page)), found) <= 1  # the network finds its own picture
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#yours-hint")).to_be_visible()
    assert pixels(pad(page)).max() == 0
    page.get_by_role("button", name="Show example").click()
    assert difference(pixels(result(page)), found) == 0


def test_a_file_takes_the_place_of_the_example(open_page: Open) -> None:
    page = open_page(SHOES)
    result(page)
    choose(page, png(SNEAKER))
    expect(page.get_by_text("Looks like: sneaker (100%)", exact=True)).to_be_visible()


def test_a_chosen_file_becomes_a_recipe_with_its_class(open_page: Open) -> None:
    page = open_page(SHOES)
    choose(page, png(SNEAKER))
    expect(page.get_by_text("Looks like: sneaker (100%)", exact=True)).to_be_visible()
    assert difference(pixels(result(page)), in_colours(SNEAKER)) <= 1
    assert difference(pixels(pad(page)), in_colours(SNEAKER)) <= 1
    page.get_by_role("button", name="Edit it").click()
    expect(page).to_have_url(re.compile(r"latent=[\w-]+&class=sneaker$"))
    wait_for_stage(page, in_colours(SNEAKER))
    page.locator("#class-chips").get_by_text("boot").click()
    wait_for_stage(page, in_colours([BOOT[0], *SNEAKER[1:]]))
    page.get_by_role("slider", name="hat").fill("2")
    lighter = np.array([BOOT[0], *SNEAKER[1:]])
    lighter[1, 0] += 32
    wait_for_stage(page, in_colours(lighter))
    page.reload()
    wait_for_stage(page, in_colours(lighter))


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_pasted_or_dropped_file_opens_the_tool(open_page: Open, way: str) -> None:
    page = open_page("?model=colour&seed=3")
    page.wait_for_selector("body.ready")
    held: list[Route] = []
    if way == "paste":  # before the server has responded
        page.route("**/models", lambda route: held.append(route))  # noqa: PLW0108
        page.reload(wait_until="load")
        wait_for(page, lambda: held)
    page.evaluate(BRING, [way, list(png(COLOUR))])
    for route in held:
        route.continue_()
    expected = np.array(COLOUR, np.uint8)
    assert difference(pixels(result(page)), expected) <= 1
    assert difference(pixels(pad(page)), expected) <= 1
    expect(page.get_by_role("button", name="Undo")).to_be_hidden()  # no pen
    tile(page, 0, "#yours-result").click()
    wait_for_stage(page, expected)


def test_two_brought_pictures_are_pinned_and_morphed(open_page: Open) -> None:
    page = open_page(SHOES)
    for levels, name in ((SNEAKER, "sneaker"), (BOOT, "boot")):
        choose(page, png(levels))
        expect(page.get_by_text(f"Looks like: {name} (100%)", exact=True)).to_be_visible()
        page.get_by_role("button", name="Pin it", exact=True).click()
        expect(page.get_by_role("button", name="Unpin it")).to_be_visible()
    page.get_by_role("link", name="Morph").click()
    expect(page.locator("#morph-stops .thumbnail")).to_have_count(2)
    slider = page.get_by_role("slider", name="Position in the morph")
    for place, levels in ((1, BOOT), (2, SNEAKER)):
        slider.fill(str(place))
        wait_for_stage(page, in_colours(levels))
    slider.fill("0.5")
    middle = [FULL // 2, FULL // 2, 0, 0]
    expect(page).to_have_url(re.compile(r"class=boot:0.5\+sneaker:0.5|class=sneaker:0.5\+boot:0.5"))
    wait_for(page, lambda: difference(pixels(stage(page))[:1], in_colours([middle])) <= 1)


def test_the_pen_sends_what_is_on_the_pad(open_page: Open) -> None:
    page = open_page(SHOES)
    result(page)
    page.evaluate(RECORD)
    with page.expect_request(re.compile("/encode")) as sent:
        draw(page, [[(1, 1), (3, 2)]], 4)
    assert re.search(r"\?model=shoes&version=1&invert=false&refine=\d+$", sent.value.url)
    content = page.evaluate("async () => [...new Uint8Array(await sent.arrayBuffer())]")
    drawn = pixels(pad(page))
    assert 0 < drawn.max() < FULL  # the example has gone
    assert difference(decoded(bytes(content)), drawn) == 0
    result(page)
    draw(page, [[(1, 2), (1, 2)]], 4)
    assert difference(pixels(pad(page)), drawn) > 0
    page.get_by_role("button", name="Undo").click()
    assert difference(pixels(pad(page)), drawn) == 0
    page.get_by_role("button", name="Clear").click()
    assert pixels(pad(page)).max() == 0
    expect(page.locator("#yours-result")).to_be_hidden()


def test_the_pen_works_by_keyboard_and_touch(open_page: Open) -> None:
    page = open_page(SHOES, has_touch=True)
    drawing = page.get_by_role("application", name="Pad")
    example = pixels(result(page))
    drawing.press("ArrowUp")
    assert difference(pixels(pad(page)), example) <= 1  # the pen only moves
    drawing.press("Shift+ArrowRight")
    line = pixels(pad(page))
    assert line.max() > 0
    result(page)
    drawing.press("Control+z")
    assert pixels(pad(page)).max() == 0
    drawing.tap()
    assert pixels(pad(page)).max() > 0
    result(page)


def test_a_pen_on_a_brought_picture_changes_it(open_page: Open) -> None:
    page = open_page(SHOES)
    choose(page, png(SNEAKER))
    result(page)
    with page.expect_request(re.compile("/encode")):
        draw(page, [[(1, 2), (3, 2)]], 4)
    changed = pixels(pad(page))
    assert difference(changed, in_colours(SNEAKER)) > 0
    page.get_by_role("button", name="Undo").click()
    assert difference(pixels(pad(page)), in_colours(SNEAKER)) <= 1


def test_a_stroke_stays_where_a_picture_arrives_later(open_page: Open) -> None:
    page = open_page(SHOES)
    result(page)
    page.evaluate(HOLD)
    choose(page, png(SNEAKER))
    page.evaluate("() => begun")  # the server has answered
    box = pad(page).bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], middle)
    page.evaluate(RELEASE)
    page.mouse.move(box["x"] + 0.7 * box["width"], middle)
    page.mouse.up()
    result(page)
    expect(page.locator("#yours-found")).not_to_have_text(re.compile("^An example"))
    levels = pixels(pad(page))
    assert levels[1, 1:3].min() > 0  # the whole stroke
    assert levels[[0, 2]].max() == 0  # nothing of the picture


def test_a_stroke_that_is_removed_while_it_is_drawn_ends(open_page: Open) -> None:
    page = open_page("?model=colour&seed=3&tool=yours")
    page.wait_for_selector("body.ready")
    page.get_by_role("combobox", name="Model").select_option("shoes")
    result(page)
    box = pad(page).bounding_box()
    assert box is not None
    for way in ("undo", "back"):
        page.mouse.move(box["x"] + 20, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + 40, box["y"] + 20)
        if way == "undo":
            page.keyboard.press("Control+z")
        else:
            page.go_back()
        page.mouse.move(box["x"] + 60, box["y"] + 20)
        page.mouse.up()
    expect(page).to_have_url(re.compile("model=colour&"))
    expect(page.locator("#yours-found")).to_have_text(re.compile("^An example"))


def test_a_file_waits_until_its_model_is_back(open_page: Open) -> None:
    page = open_page(SHOES)
    result(page)
    held: list[Route] = []
    page.route("**/encode?*", lambda route: held.append(route), times=1)  # noqa: PLW0108
    with page.expect_request("**/encode?*"):
        choose(page, png(SNEAKER))
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_role("combobox", name="Model").select_option("colours")
    wait_for(page, lambda: held)
    held.pop().continue_()
    expect(page.locator("#yours")).to_have_attribute("aria-busy", "false")
    page.get_by_role("combobox", name="Model").select_option("shoes")
    page.get_by_role("link", name="Yours").click()
    expect(page.get_by_text("Looks like: sneaker (100%)", exact=True)).to_be_visible()
    shown = pixels(pad(page))
    assert shown.shape == in_colours(SNEAKER).shape  # those of "colours" are larger
    assert difference(shown, in_colours(SNEAKER)) <= 1


def test_light_and_dark_of_a_file_can_be_swapped(open_page: Open) -> None:
    page = open_page(SHOES)
    swap = page.get_by_role("button", name="Invert")
    result(page)
    page.get_by_role("button", name="Clear").click()
    expect(swap).to_be_disabled()
    choose(page, png(SNEAKER))
    for expected in (255 - in_colours(SNEAKER), in_colours(SNEAKER)):
        result(page)
        with page.expect_response(re.compile("/encode")):
            swap.click()
        result(page)
        assert difference(pixels(pad(page)), expected) <= 1
    swap.dblclick()
    result(page)
    assert difference(pixels(pad(page)), expected) <= 1


def test_other_models_say_which_ones_read_pictures(open_page: Open) -> None:
    page = open_page("?model=colours&seed=3")
    page.wait_for_selector("body.ready")
    page.evaluate(BRING, ["drop", list(png(SNEAKER))])
    expect(page.get_by_text("This model cannot read pictures. These can:")).to_be_visible()
    offered = page.locator("#yours-models button").all_inner_texts()
    assert {"colour", "shoes"} <= set(offered)
    assert {"colours", "clothes", "people"}.isdisjoint(offered)
    expect(page.get_by_role("button", name="Choose picture")).to_be_hidden()
    page.get_by_role("button", name="shoes").click()
    found = page.get_by_text("Looks like: sneaker (100%)", exact=True)
    expect(found).to_be_visible()  # the same file


def test_refused_files_are_explained(open_page: Open, console_errors: list[str]) -> None:
    page = open_page(SHOES)
    message = page.locator("#notice-message")
    choose(page, b"<svg/>", "mine.svg", "image/svg+xml")
    expect(message).to_have_text("“mine.svg” is not a PNG, JPEG, WebP or GIF picture.")
    choose(page, bytes(2**24 + 1))
    expect(message).to_contain_text("is too large")
    choose(page, png(SNEAKER)[:40])
    expect(message).to_contain_text("body is")
    expect(page.locator("#yours-found")).to_have_text(re.compile("^An example"))
    page.route("**/encode?*", lambda route: route.fulfill(status=500, json={"detail": "broken"}))
    draw(page, [[(1, 1), (3, 2)]], 4)
    expect(message).to_have_text("broken")
    expect(page.locator("#yours-result")).to_be_hidden()  # it is not of the drawing
    ignore_failed_requests(console_errors)


@pytest.mark.parametrize(
    ("model", "levels", "width", "scheme"),
    [("shoes", SNEAKER, 320, "dark"), ("colour", COLOUR, 1280, "light")],
)
def test_the_tool_is_accessible_with_a_picture(
    open_page: Open,
    violations: Callable[[Page], list[str]],
    screenshots: Path,
    model: str,
    levels: object,
    width: int,
    scheme: str,
) -> None:
    options = {"viewport": {"width": width, "height": 640}, "color_scheme": scheme}
    page = open_page(f"?model={model}&seed=3&tool=yours", **options)
    result(page)  # the example; meanwhile the tool is dimmed
    assert violations(page) == []
    choose(page, png(levels))
    result(page)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=screenshots / f"{model}-Yours-{width}-{scheme}.png")


@pytest.fixture(scope="module")
def digits_server(
    models: Path, root: Path, command: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A server of the digits of this project."""
    version = models / "digits" / "1"
    if "encoder" not in json.loads((version / "card.json").read_text()):
        pytest.skip("models/digits/1 has no encoder")
    folder = tmp_path_factory.mktemp("digits")
    shutil.copytree(version, folder / "digits" / "1")
    with serving([*command, "--models", str(folder)], root, folder / "log") as address:
        yield address


@pytest.mark.parametrize("digit", DIGITS)
def test_a_digit_that_is_drawn_with_the_mouse_is_its_class(
    open_page: Open, digits_server: str, digit: str
) -> None:
    page = open_page("?model=digits&tool=yours", base=digits_server)
    page.wait_for_selector("body.ready")
    draw(page, DIGITS[digit], 28)
    expect(page.locator("#yours-found")).to_have_text(re.compile(rf"^Looks like: {digit} "))
    page.get_by_role("button", name="Edit it").click()
    expect(page).to_have_url(re.compile(rf"latent=[\w-]+&class={digit}$"))
