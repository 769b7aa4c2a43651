"""Classes and attributes of conditional models: chips, rows, mixtures, switches, links, pins."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlparse

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Locator, Page, expect

from tests.browser.generators import CLASSES

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]

CLOTHES, PEOPLE = "#model=clothes&version=1", "#model=people&version=1"
IMAGES = "images/clothes/1"
PINS = "3,17:bag,99:sneaker:0.7+bag:0.3,4:dress"

PIXELS = """(shown) => {
    const canvas = new OffscreenCanvas(32, 32);
    const context = canvas.getContext('2d');
    context.drawImage(shown, 0, 0);
    return [...context.getImageData(0, 0, 32, 32).data];
}"""
BORDER_CONTRASTS = """() => {
    const levels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const linear = (level) => ((level / 255 + 0.055) / 1.055) ** 2.4;
    const luminance = ([red, green, blue]) =>
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    const behind = (element) => {
        const found = levels(getComputedStyle(element).backgroundColor);
        return found[3] === 0 ? behind(element.parentElement) : found;
    };
    const contrast = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const controls = 'button:not(.tile), select, input[type=number], .chips label';
    return [...document.querySelectorAll(controls)]
        .filter((element) => element.closest('main, .switch') && element.offsetWidth)
        .map((element) => {
            const edge = levels(getComputedStyle(element).borderTopColor);
            return contrast(edge, behind(element.parentElement));
        });
}"""


def pixels(shown: Locator) -> list[int]:
    """The pixels (RGBA) of an image or a canvas of 32×32."""
    found: list[int] = shown.evaluate(PIXELS)
    return found


def expect_first_image(page: Page, source: str) -> None:
    """Wait until the gallery's first image has this path."""
    expect(page.locator("#tiles img").first).to_have_attribute("src", source)


def test_tiles_name_the_class_that_the_server_draws_for_their_seeds(
    open_page: Open, server: str
) -> None:
    page = open_page(f"{CLOTHES}&seed=4294967290")
    expect_first_image(page, f"{IMAGES}/4294967290.png")
    captions = page.locator(".tile").all_inner_texts()
    seeds = [int(caption.split()[0]) for caption in captions]
    body = {"seeds": seeds}
    answer = httpx.post(
        f"{server}/generate?model=clothes", json=body, headers={"Accept": "application/json"}
    )
    drawn = [f"{image['seed']} ({image['class']})" for image in answer.json()["images"]]
    assert captions == drawn
    assert len({image["class"] for image in answer.json()["images"]}) > 4
    expect(page.get_by_role("button", name=f"Picture {drawn[7]}", exact=True)).to_be_visible()


def test_mouse_chooses_a_class_which_links_and_pins_keep(open_page: Open, server: str) -> None:
    page = open_page(CLOTHES)
    chips = page.get_by_role("group", name="Class")
    expect(chips.get_by_role("radio")).to_have_count(2 + len(CLASSES))
    expect(chips.get_by_role("radio", name="All")).to_be_checked()
    chips.get_by_role("radio", name="sneaker").check()
    expect(page).to_have_url(re.compile("&class=sneaker$"))
    expect_first_image(page, f"{IMAGES}/0.png?class=sneaker")
    expect(page.locator(".tile").first).to_have_text("0")
    page.locator(".tile").nth(5).click()
    dialog = page.get_by_role("dialog", name="Picture 5 (sneaker)")
    url = f"{server}/{IMAGES}/5.png?class=sneaker"
    expect(dialog.get_by_label("URL", exact=True)).to_have_value(url)
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "clothes-1-5-sneaker.png"
    assert download.value.path().read_bytes() == httpx.get(url, timeout=60).content
    dialog.get_by_role("button", name="Pin").click()
    dialog.get_by_role("button", name="Close").click()
    chips.get_by_role("radio", name="bag").check()
    pin = page.get_by_role("button", name="Pinned picture 5 (sneaker)")
    expect(pin.locator("img")).to_have_attribute("src", f"{IMAGES}/5.png?class=sneaker")
    page.drag_and_drop("#tiles .tile >> nth=5", "#pins")
    expect(page).to_have_url(re.compile("&class=bag&pins=5:sneaker,5:bag$"))
    page.go_back()
    page.go_back()
    expect(chips.get_by_role("radio", name="sneaker")).to_be_checked()


def test_keyboard_mixes_two_classes(open_page: Open) -> None:
    page = open_page(CLOTHES)
    chips = page.get_by_role("group", name="Class")
    expect(page.get_by_label("Mix with")).to_be_hidden()
    chips.get_by_role("radio", name="All").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(chips.get_by_role("radio", name="trouser")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Mix with")).to_be_focused()
    page.get_by_label("Mix with").select_option("bag")
    expect_first_image(page, f"{IMAGES}/0.png?class=trouser:0.5+bag:0.5")
    share = page.get_by_role("slider", name="Share of the second class")
    share.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    expect(share).to_have_attribute("aria-valuetext", "30% bag")
    expect(page).to_have_url(re.compile(r"&class=trouser:0.7\+bag:0.3$"))
    expect_first_image(page, f"{IMAGES}/0.png?class=trouser:0.7+bag:0.3")
    name = "Picture 1 (70% trouser, 30% bag)"
    expect(page.get_by_role("button", name=name, exact=True)).to_be_visible()
    chips.get_by_role("radio", name="coat").check()
    expect_first_image(page, f"{IMAGES}/0.png?class=coat:0.7+bag:0.3")
    chips.get_by_role("radio", name="bag").check()
    expect_first_image(page, f"{IMAGES}/0.png?class=bag")
    expect(page.get_by_role("option", name="bag")).to_be_disabled()
    chips.get_by_role("radio", name="All").check()
    expect_first_image(page, f"{IMAGES}/0.png")
    expect(page.get_by_label("Mix with")).to_be_hidden()


def test_a_row_for_each_class_is_cut_from_one_sheet(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page(f"{CLOTHES}&seed=7")
    wait_until_idle(page)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.get_by_role("radio", name="A row for each").check()
    expect(page).to_have_url(re.compile("&seed=7&rows=classes$"))
    wait_until_idle(page)
    assert ["grid?" in url for url in sent if "/web/" not in url] == [True]
    expect(page.locator("#tiles")).to_be_hidden()
    tiles = page.locator("#rows .tile")
    expect(tiles).to_have_count(10 * len(CLASSES))
    tile = tiles.nth(10 * 7 + 2)
    expect(tile).to_have_accessible_name("Picture 9 (sneaker)")
    tile.click()
    image = page.locator("#dialog-image")
    expect(image).to_have_attribute("src", f"{IMAGES}/9.png?class=sneaker")
    image.evaluate("(image) => image.decode()")
    assert pixels(image) == pixels(tile.locator("canvas"))
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Picture 10 (bag), pinned")).to_be_focused()
    expect(page).to_have_url(re.compile("&pins=10:bag$"))
    page.get_by_role("radio", name="shirt", exact=True).check()
    expect_first_image(page, f"{IMAGES}/7.png?class=shirt")
    expect(page.locator("#rows")).to_be_hidden()


def test_a_morph_goes_from_the_class_of_one_pin_to_that_of_the_next(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page(f"{CLOTHES}&panel=morph&pins={PINS}")
    wait_until_idle(page)
    slider, canvas = page.locator("#morph-slider"), page.locator("#morph-canvas")
    for stop in range(4):
        slider.fill(str(64 * stop))
        assert pixels(canvas) == pixels(page.locator("#pins-list img").nth(stop))
    expect(page.locator("#morph-position")).to_have_text(
        "0% of the way from 4 (dress) to 3 (sneaker)"
    )
    href = str(page.get_by_role("link", name="Save GIF").get_attribute("href"))
    assert parse_qs(urlparse(href).query)["class"] == ["sneaker,bag,sneaker:0.7 bag:0.3,dress"]
    assert httpx.get(f"{server}/{href}", timeout=60).status_code == 200


def test_a_blend_has_the_classes_of_its_pins_in_the_corners(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page(f"{CLOTHES}&panel=blend&pins={PINS}")
    wait_until_idle(page)
    pad, canvas = page.locator("#blend-pad"), page.locator("#blend-canvas")
    box = pad.bounding_box()
    assert box is not None
    right, bottom = box["width"] - 9, box["height"] - 9
    for corner, (x, y) in enumerate([(9, 9), (right, 9), (9, bottom), (right, bottom)]):
        pad.hover(position={"x": x, "y": y})
        assert pixels(canvas) == pixels(page.locator("#pins-list img").nth(corner))


def test_variations_have_the_class_of_their_centre(open_page: Open) -> None:
    page = open_page(f"{CLOTHES}&panel=variations&of=17:bag")
    sheet = page.get_by_role("img", name="Picture 17 (bag), surrounded by its variations")
    expect(sheet).to_have_attribute("src", re.compile("seed=17&class=bag&radius"))
    page.get_by_label("Seed", exact=True).fill("12")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("&of=12:bag$"))


def test_sums_of_pictures_are_sums_of_their_classes(open_page: Open, server: str) -> None:
    """The page must find the class that the server finds for the same classes as mixtures."""
    page = open_page(f"{CLOTHES}&panel=arithmetic&start=3:bag,5:coat&minus=7:coat&plus=9:dress")
    body = {
        "model": "clothes",
        "plus": [[3, 5], [9]],
        "minus": [[7]],
        "class": {"bag": 0.5, "dress": 1},  # bag / 2 + coat / 2 - coat + dress, without negatives
    }
    answer = httpx.post(
        f"{server}/arithmetic", json=body, headers={"Accept": "application/json"}, timeout=60
    )
    middle = answer.json()["images"][4]["png"]
    shown = page.get_by_role("img", name="The result", exact=True)
    expect(shown).to_have_attribute("src", f"data:image/png;base64,{middle}")
    remove = "Remove picture 7 (coat) from “Subtract”"
    expect(page.get_by_role("button", name=remove)).to_be_visible()


def test_the_server_finds_the_class_of_a_sum_of_seeds(open_page: Open) -> None:
    page = open_page(f"{CLOTHES}&panel=arithmetic&pins=3")
    with page.expect_request(re.compile("arithmetic$")) as request:
        page.drag_and_drop("[aria-label^='Pinned picture 3']", "[data-name=plus]")
    assert "class" not in request.value.post_data_json


def test_switches_set_attributes_of_every_picture(open_page: Open, server: str) -> None:
    page = open_page(f"{PEOPLE}&pins=3,17")
    glasses = page.get_by_role("group", name="glasses")
    expect(glasses.get_by_role("radio", name="any")).to_be_checked()
    glasses.get_by_role("radio", name="yes").check()
    expect(page).to_have_url(re.compile("&attributes=glasses$"))
    expect_first_image(page, "images/people/1/0.png?attributes=glasses")
    hair = {name: page.get_by_role("group", name=f"{name} hair") for name in ("blond", "brown")}
    hair["blond"].get_by_role("radio", name="yes").check()
    hair["brown"].get_by_role("radio", name="any").focus()
    page.keyboard.press("ArrowRight")
    # Nobody in the training images has both.
    expect(hair["blond"].get_by_role("radio", name="any")).to_be_checked()
    glasses.get_by_role("radio", name="no").check()
    source = "images/people/1/0.png?attributes=brown_hair,-glasses"
    expect_first_image(page, source)
    expect(page.locator("#pins-list img").first).to_have_attribute("src", re.compile("attributes="))
    found = httpx.get(f"{server}/{source}").headers["X-Attributes"]
    assert found == "-glasses,-blond_hair,brown_hair"
    with page.expect_request(re.compile("interpolate.*attributes=brown_hair,-glasses")):
        page.get_by_role("link", name="Morph").click()
    page.get_by_role("link", name="Arithmetic").click()
    with page.expect_request(re.compile("arithmetic$")) as request:
        page.drag_and_drop("[aria-label='Pinned picture 3']", "[data-name=plus]")
    assert request.value.post_data_json["attributes"] == {"glasses": 0, "brown_hair": 1}
    page.get_by_role("button", name="Reset all").click()
    expect(glasses.get_by_role("radio", name="any")).to_be_checked()
    expect(page).not_to_have_url(re.compile("attributes"))


def test_classes_and_attributes_that_a_model_does_not_have_leave_the_address(
    open_page: Open, server: str
) -> None:
    page = open_page("#model=clothes&class=hat&pins=3:hat,3,17:bag:0.5+hat:0.5&attributes=glasses")
    expect(page).to_have_url(re.compile(f"/{CLOTHES}&pins=3,17$"))
    for invalid in ("class=bag:2", "class=bag:0.5", "class=constructor", "rows=bags", "of=x:bag"):
        page.goto(f"{server}/{CLOTHES}&{invalid}")
        expect(page).to_have_url(re.compile(f"/{CLOTHES}$"))
    page.goto(f"{server}/{CLOTHES}&class=bag&rows=classes&pins=3:bag,4&attributes=glasses")
    page.get_by_label("Model").select_option("people")
    expect(page).to_have_url(re.compile(f"{PEOPLE}&pins=3,4$"))
    expect(page.get_by_role("group", name="Class")).to_be_hidden()
    expect_first_image(page, "images/people/1/0.png")
    page.goto(f"{server}/{PEOPLE}&attributes=-glasses,hat,x:1")
    expect(page).to_have_url(re.compile(f"{PEOPLE}&attributes=-glasses$"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_borders_of_controls_contrast_with_what_is_around_them(
    open_page: Open, scheme: str
) -> None:
    page = open_page(f"{CLOTHES}&class=sneaker:0.7+bag:0.3", color_scheme=scheme)
    expect_first_image(page, f"{IMAGES}/0.png?class=sneaker:0.7+bag:0.3")
    contrasts = page.evaluate(BORDER_CONTRASTS)
    assert len(contrasts) > len(CLASSES)
    assert min(contrasts) >= 3
