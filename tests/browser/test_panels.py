"""The panels Morph, Blend, Variations and Arithmetic, by mouse and by keyboard."""

import io
import re
from collections.abc import Callable

import httpx
import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from PIL import Image
from playwright.sync_api import Locator, Page, expect

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]

MODEL = {"model": "fashion-mnist", "version": 2}

PIXELS = """(shown) => {
    const canvas = new OffscreenCanvas(28, 28);
    const context = canvas.getContext('2d');
    context.drawImage(shown, 0, 0);
    return [...context.getImageData(0, 0, 28, 28).data];
}"""


def pixels(shown: Locator) -> list[int]:
    """The pixels (RGBA) of an image or a canvas of 28×28."""
    found: list[int] = shown.evaluate(PIXELS)
    return found


def stop(page: Page, number: int) -> list[int]:
    """The pixels of one of the pictures above the slider."""
    image = page.locator("#morph-stops img").nth(number)
    image.evaluate("(image) => image.decode()")
    return pixels(image)


def test_random_pictures_can_be_pinned_for_a_panel(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("link", name="Morph").click()
    expect(page.get_by_role("slider", name="Position in the morph")).to_be_hidden()
    page.get_by_role("button", name="Pin four at random").click()
    expect(page.get_by_role("slider", name="Position in the morph")).to_be_visible()
    expect(page.locator("#pins-list button")).to_have_count(4)


def test_mouse_moves_through_a_morph_without_further_requests(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page("#panel=morph&pins=3,17,99")
    wait_until_idle(page)
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    slider, canvas = page.locator("#morph-slider"), page.locator("#morph-canvas")
    assert pixels(canvas) == stop(page, 0)
    box = slider.bounding_box()
    assert box is not None
    seen = set()
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    for k in range(1, 21):
        page.mouse.move(box["x"] + box["width"] * k / 20, box["y"] + box["height"] / 2)
        seen.add(tuple(pixels(canvas)))
    page.mouse.up()
    assert len(seen) >= 19
    assert pixels(canvas) == stop(page, 3) == stop(page, 0)
    assert urls == []


def test_keyboard_moves_through_a_morph_and_plays_it(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page("#panel=morph&pins=3,17")
    wait_until_idle(page)
    slider, canvas = page.locator("#morph-slider"), page.locator("#morph-canvas")
    slider.focus()
    page.keyboard.press("End")
    expect(page.get_by_text("100% of the way from 17 to 3")).to_be_visible()
    before = pixels(canvas)
    page.keyboard.press("PageDown")
    assert pixels(canvas) != before
    expect(slider).to_have_attribute(
        "aria-valuetext", re.compile(r"^8\d% of the way from 17 to 3$")
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    # After the end it starts again.
    expect(page.get_by_text(re.compile("of the way from 3 to 17"))).to_be_visible()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play")).to_be_focused()
    place = slider.input_value()
    page.wait_for_timeout(100)
    assert slider.input_value() == place


@pytest.mark.parametrize("format_", ["GIF", "WEBP"])
def test_a_morph_is_saved_as_an_animation(open_page: Open, server: str, format_: str) -> None:
    page = open_page("#panel=morph&pins=3,17,99&truncation=0.8")
    link = page.get_by_role("link", name=re.compile(f"save {format_}", re.IGNORECASE))
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == f"fashion-mnist-2.{format_.lower()}"
    content = download.value.path().read_bytes()
    assert content == httpx.get(f"{server}/{link.get_attribute('href')}", timeout=60).content
    with Image.open(io.BytesIO(content)) as animation:
        animation.load()
        assert (animation.format, animation.size) == (format_, (224, 224))
        assert (animation.n_frames, animation.info["loop"]) == (45, 0)
        first = np.asarray(animation.convert("L"))[::8, ::8].ravel()
    shown = page.locator("#morph-stops img").first
    assert pixels(shown)[::4] == first.tolist()


def test_a_long_morph_is_saved_as_large_as_the_server_allows(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    pins = ",".join(map(str, range(16)))
    page = open_page(f"#model=colours&panel=morph&scale=8&pins={pins}")
    wait_until_idle(page)
    href = str(page.get_by_role("link", name="Save GIF").get_attribute("href"))
    assert "scale=8" in href
    with Image.open(io.BytesIO(httpx.get(f"{server}/{href}", timeout=60).content)) as animation:
        assert (animation.n_frames, animation.size) == (240, (256, 256))


def test_the_blend_follows_mouse_and_arrow_keys(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page("#panel=blend&pins=1,2,3,4")
    wait_until_idle(page)
    pad, canvas = (
        page.get_by_role("slider", name="Position of the blend"),
        page.locator("#blend-canvas"),
    )
    thumbnails = page.locator("#pins-list img")
    box = pad.bounding_box()
    assert box is not None
    for number, (x, y) in enumerate([(9, 9), (box["width"] - 9, 9), (9, box["height"] - 9)]):
        pad.hover(position={"x": x, "y": y})
        assert pixels(canvas) == pixels(thumbnails.nth(number))
    pad.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    assert pixels(canvas) == pixels(thumbnails.nth(3))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    expect(pad).to_have_attribute("aria-valuetext", re.compile(r"^88% to the right, 8\d% down$"))


def test_variations_surround_the_chosen_picture(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page()
    page.locator(".tile").nth(7).click()
    page.get_by_role("button", name="Variations").click()
    sheet = page.get_by_role("img", name="Picture 7, surrounded by its variations")
    expect(sheet).to_be_visible()
    wait_until_idle(page)
    assert sheet.evaluate("(sheet) => [sheet.naturalWidth, sheet.naturalHeight]") == [140, 140]
    radius = page.get_by_label("Difference")
    radius.focus()
    page.keyboard.press("Home")
    expect(page).to_have_url(re.compile("radius=0(&|$)"))
    expect(sheet).to_have_attribute("src", re.compile("radius=0&"))
    source = str(sheet.get_attribute("src"))
    assert httpx.get(f"{server}/{source}", timeout=60).headers["X-Seed"] == "7"
    page.get_by_label("Seed", exact=True).fill("12")
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="Picture 12, surrounded")).to_be_visible()


def expect_result(page: Page, server: str, plus: list[list[int]], minus: list[list[int]]) -> None:
    """Wait until the page shows the images that the server returns for the same request."""
    body = {**MODEL, "plus": plus, "minus": minus, "radius": 0.25, "neighbours": 9}
    answer = httpx.post(
        f"{server}/arithmetic", json=body, headers={"Accept": "application/json"}, timeout=60
    )
    for k, image in enumerate(answer.json()["images"]):
        shown = page.locator("#arithmetic-result img").nth(k)
        expect(shown).to_have_attribute("src", f"data:image/png;base64,{image['png']}")


def test_mouse_drags_pictures_into_boxes(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page("#panel=arithmetic&pins=3,17,99")
    wait_until_idle(page)
    for seed, box in ((3, "start"), (17, "minus"), (99, "plus"), (17, "plus")):
        page.drag_and_drop(f"[aria-label='Pinned picture {seed}']", f"[data-name={box}]")
    expect(page.get_by_role("img", name="The result", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("start=3&minus=17&plus=99,17"))
    expect_result(page, server, [[3], [99, 17]], [[17]])
    page.get_by_role("button", name="Remove picture 17 from “Subtract”").click()
    expect(page).to_have_url(re.compile("start=3&plus=99,17"))
    expect_result(page, server, [[3], [99, 17]], [])


def test_keyboard_puts_pictures_into_boxes(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page("#panel=arithmetic&pins=3,17")
    wait_until_idle(page)
    for seed, box in ((3, "Add"), (17, "Subtract")):
        page.get_by_role("button", name=f"Pinned picture {seed}").focus()
        page.keyboard.press("Enter")
        choice = page.get_by_role("dialog").get_by_role("button", name=box)
        choice.focus()
        page.keyboard.press("Enter")
        expect(choice).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Escape")
    expect(page.get_by_role("img", name="The result", exact=True)).to_be_visible()
    expect_result(page, server, [[3]], [[17]])
    page.get_by_role("button", name="Remove picture 3 from “Add”").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("to see the result")).to_be_visible()


def test_dragging_a_gallery_picture_to_the_tray_pins_it(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page()
    wait_until_idle(page)
    page.drag_and_drop(".tile >> nth=4", "#pins")
    expect(page.get_by_role("button", name="Pinned picture 4")).to_be_visible()
