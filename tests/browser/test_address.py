"""Model, version, attributes, truncation and size, and how the page's address stores them."""

import re
from collections.abc import Callable

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from PIL import Image
from playwright.sync_api import Page, Route, expect

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]

FULL = (
    "#model=colours&version=1&panel=arithmetic&seed=7&pins=3,17&edit=bright:1.5,warm_sky:-2"
    "&truncation=0.7&scale=3&of=5&radius=0.3&start=3&minus=17&plus=99,4"
)


def expect_first_image(page: Page, source: str) -> None:
    """Wait until the gallery's first image has this path."""
    expect(page.locator(".tile img").first).to_have_attribute("src", source)


def test_model_and_version_can_be_switched(open_page: Open) -> None:
    page = open_page()
    expect(page).to_have_url(re.compile("#model=fashion-mnist&version=2$"))
    expect(
        page.get_by_text(
            "28 × 28 grey pictures. Trained on fashion-mnist (60,000 pictures). Runs on the CPU."
        )
    ).to_be_visible()
    expect_first_image(page, "images/fashion-mnist/2/0.png")
    page.get_by_label("Version").select_option("1")
    expect(page).to_have_url(re.compile("#model=fashion-mnist&version=1$"))
    expect_first_image(page, "images/fashion-mnist/1/0.png")
    page.get_by_label("Model").select_option("colours")
    expect(page).to_have_url(re.compile("#model=colours&version=1$"))
    expect(
        page.get_by_text("32 × 32 colour pictures. Trained on colours. Runs on the CPU.")
    ).to_be_visible()
    expect_first_image(page, "images/colours/1/0.png")


def test_back_and_forward_restore_views(open_page: Open) -> None:
    page = open_page()
    for name in ("Morph", "Blend", "Gallery"):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("link", name=name)).to_have_attribute("aria-current", "page")
    page.locator(".tile").nth(1).focus()
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Pinned picture 1")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Pinned picture 1")).to_be_hidden()
    page.go_back()
    expect(page.locator("#blend")).to_be_visible()
    expect(page.locator("#gallery")).to_be_hidden()
    page.go_forward()
    expect(page.locator("#gallery")).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("button", name="Pinned picture 1")).to_be_visible()


def test_an_address_restores_every_field_of_the_view(open_page: Open) -> None:
    page = open_page(FULL)
    page.wait_for_selector("body.ready")
    fields = dict(pair.split("=") for pair in page.url.partition("#")[2].split("&"))
    assert fields == dict(pair.split("=") for pair in FULL[1:].split("&"))
    expect(page.locator("#arithmetic .list button")).to_have_count(4)
    expect(page.get_by_role("slider", name="bright")).to_have_value("1.5")
    expect(page.get_by_label("Version")).to_have_value("1")
    expect(page.get_by_label("Truncation")).to_have_value("0.7")
    expect(page.get_by_label("Size")).to_have_value("3")
    page.get_by_role("link", name="Variations").click()
    expect(page.get_by_label("Seed", exact=True)).to_have_value("5")


@pytest.mark.parametrize(
    ("old", "new"), [("between", "morph"), ("plane", "blend"), ("sums", "arithmetic")]
)
def test_links_with_a_former_panel_name_still_work(open_page: Open, old: str, new: str) -> None:
    page = open_page(f"#panel={old}&pins=3,17")
    expect(page.locator(f"#{new}")).to_be_visible()
    expect(page).to_have_url(re.compile(f"&panel={new}&pins=3,17$"))


def test_invalid_parts_of_an_address_are_removed(open_page: Open, server: str) -> None:
    cleaned = re.compile("/#model=fashion-mnist&version=2$")
    page = open_page("#model=gone&version=9&panel=constructor&seed=-1&pins=x,,4294967296&radius=7")
    expect(page).to_have_url(cleaned)
    for invalid in (
        "#version=77",
        "#edit=beard:9,:,&start=&of=",
        "#truncation=0&scale=2.5&seed=1.5",
        "#truncation=2.1&scale=9",
        "#model=fashion-mnist&edit=bright:2",  # the model has no attributes
        "#%E0%A4%A=&&==#",
    ):
        page.goto(f"{server}/{invalid}")
        expect(page).to_have_url(cleaned)
    expect_first_image(page, "images/fashion-mnist/2/0.png")


def test_keyboard_attribute_sliders_edit_every_panel(open_page: Open) -> None:
    page = open_page("#model=colours&pins=3,17")
    slider = page.get_by_role("slider", name="warm sky")
    slider.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "+2")
    expect(page).to_have_url(re.compile("edit=warm_sky:2$"))
    expect_first_image(page, "images/colours/1/0.png?edit=warm_sky:2")
    page.keyboard.press("Home")
    expect_first_image(page, "images/colours/1/0.png?edit=warm_sky:-5")
    expect(page.locator("#pins-list img").first).to_have_attribute("src", re.compile("edit="))
    with page.expect_request(re.compile("interpolate.*edit=warm_sky:-5")):
        page.get_by_role("link", name="Morph").click()
    page.get_by_role("button", name="Reset all").click()
    expect(slider).to_have_attribute("aria-valuetext", "unchanged")


def test_truncation_applies_to_every_panel(open_page: Open) -> None:
    page = open_page("#model=fashion-mnist&pins=3,17")
    page.wait_for_selector("body.ready")
    slider = page.get_by_label("Truncation")
    slider.focus()
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile("truncation=0.7$"))
    expect_first_image(page, "images/fashion-mnist/2/0.png?truncation=0.7")
    with page.expect_request(re.compile("interpolate.*truncation=0.7")):
        page.get_by_role("link", name="Morph").click()
    page.get_by_role("link", name="Arithmetic").click()
    with page.expect_request(re.compile("arithmetic$")) as request:
        page.drag_and_drop("[aria-label='Pinned picture 3']", "[data-name=plus]")
    assert request.value.post_data_json["truncation"] == 0.7
    page.get_by_role("link", name="Gallery").click()
    slider.press("Home")
    expect_first_image(page, "images/fashion-mnist/2/0.png?truncation=0.1")


def test_size_applies_to_the_page_and_to_downloads(open_page: Open, server: str) -> None:
    page = open_page()
    page.wait_for_selector("body.ready")
    image = page.locator(".tile img").first
    for size, width in (("8 ×", "224px"), ("1 ×", "28px"), ("Auto", "112px")):
        page.get_by_label("Size").select_option(size)
        expect(image).to_have_css("width", width)
        # The browser enlarges the same file.
        expect_first_image(page, "images/fashion-mnist/2/0.png")
    page.get_by_label("Size").select_option("5 ×")
    expect(page).to_have_url(re.compile("scale=5$"))
    page.locator(".tile").nth(4).click()
    url = f"{server}/images/fashion-mnist/2/4.png?scale=5"
    expect(page.get_by_label("URL", exact=True)).to_have_value(url)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    with Image.open(download.value.path()) as file:
        assert file.size == (140, 140)


def test_dragging_a_slider_adds_one_entry_to_the_history(open_page: Open) -> None:
    page = open_page("#model=colours")
    page.wait_for_selector("body.ready")
    slider = page.get_by_role("slider", name="bright")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for k in range(6, 11):
        page.mouse.move(box["x"] + box["width"] * k / 10, box["y"] + box["height"] / 2)
    expect_first_image(page, "images/colours/1/0.png?edit=bright:5")
    assert "edit" not in page.url  # the address changes on release
    page.mouse.up()
    expect(page).to_have_url(re.compile("edit=bright:5$"))
    page.go_back()
    expect(slider).to_have_value("0")
    expect_first_image(page, "images/colours/1/0.png")


def test_tiles_out_of_sight_do_not_keep_images_of_another_model(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page()
    for bottom in (1, 1, 1, 0):
        page.evaluate(f"scrollTo(0, {bottom} * document.body.scrollHeight)")
        wait_until_idle(page)
    page.get_by_label("Model").select_option("colours")
    expect_first_image(page, "images/colours/1/0.png")
    wait_until_idle(page)
    paths = page.locator(".tile img[src]").evaluate_all("(all) => all.map(({src}) => src)")
    assert 0 < len(paths) < page.locator(".tile").count()
    assert {"images/colours/1" in path for path in paths} == {True}


def test_a_model_without_attributes_has_no_sliders(open_page: Open) -> None:
    page = open_page("#model=colours&edit=bright:1")
    expect(page.get_by_text("Attributes")).to_be_visible()
    page.get_by_label("Model").select_option("fashion-mnist")
    expect(page.get_by_text("Attributes")).to_be_hidden()
    expect_first_image(page, "images/fashion-mnist/2/0.png")


def test_changes_before_the_server_responds_are_respected(open_page: Open, server: str) -> None:
    page = open_page()
    held: list[Route] = []
    page.route("**/health/ready", lambda route: held.append(route))  # noqa: PLW0108
    page.goto("about:blank")
    page.goto(f"{server}/#pins=3,17", wait_until="load")
    page.get_by_label("Size").select_option("2 ×")
    page.get_by_label("Truncation").press("ArrowLeft")
    expect(page).to_have_url(re.compile("pins=3,17&truncation=0.95&scale=2$"))
    held[0].continue_()
    expect_first_image(page, "images/fashion-mnist/2/0.png?truncation=0.95")
    expect(page).to_have_url(re.compile("model=fashion-mnist&version=2&pins=3,17"))


def test_text_that_is_typed_before_the_server_responds_stays(open_page: Open, server: str) -> None:
    page = open_page()
    held: list[Route] = []
    page.route("**/health/ready", lambda route: held.append(route))  # noqa: PLW0108
    page.goto("about:blank")
    page.goto(f"{server}/", wait_until="load")
    seed = page.get_by_label("First seed")
    seed.fill("41")
    held[0].continue_()
    expect_first_image(page, "images/fashion-mnist/2/0.png")
    expect(seed).to_have_value("41")
    seed.press("Enter")
    expect_first_image(page, "images/fashion-mnist/2/41.png")
    page.go_back()
    expect(seed).to_have_value("0")
