"""The tools beside the stage: each opens on an example, and its results go on."""

import re
from collections.abc import Callable

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
import numpy as np
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser.pictures import (
    Pixels,
    decoded,
    difference,
    pixels,
    served,
    stage,
    tile,
    wait_for,
    wait_for_stage,
    wait_for_tile,
)

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]

COLOURS = "?model=colours&version=1&seed=3"
CLOTHES = "?model=clothes&version=1&seed=3"
PINS = "3~17;class=bag~99;class=sneaker:0.7+bag:0.3~4;class=dress"
CUT = """(start) => {
    const send = fetch;
    window.fetch = async (path, options) => {
        if (!path.startsWith(start)) return send(path, options);
        window.fetch = send;
        return new Response(new ReadableStream({ pull: (body) => body.error(new TypeError()) }));
    };
}"""
IMAGES = [
    "images/clothes/1/3.png",
    "images/clothes/1/17.png?class=bag",
    "images/clothes/1/99.png?class=sneaker:0.7+bag:0.3",
    "images/clothes/1/4.png?class=dress",
]


def test_a_relative_goes_on_and_back_returns(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page(f"{COLOURS}&tool=vary&edit=bright:1")
    wait_until_idle(page)
    start = served(server, "images/colours/1/3.png?edit=bright:1")
    assert difference(pixels(wait_for_tile(page, 12, "#vary-tiles")), start) <= 1
    relative = pixels(wait_for_tile(page, 3, "#vary-tiles"))
    assert difference(relative, start) > 4
    later = pixels(wait_for_tile(page, 7, "#vary-tiles"))
    held: list[Route] = []
    page.route("**/generate?*columns*", lambda route: held.append(route), times=1)  # noqa: PLW0108
    with page.expect_request("**/generate?*columns*"):
        tile(page, 7, "#vary-tiles").click()
    wait_for_stage(page, later)
    tile(page, 3, "#vary-tiles").click()  # what is in sight goes on
    wait_for_stage(page, relative)
    held.pop().continue_()
    expect(page).to_have_url(re.compile("latent=.*&edit=bright:1&tool=vary$"))
    wait_until_idle(page)
    assert difference(pixels(wait_for_tile(page, 12, "#vary-tiles")), relative) <= 1
    page.reload()
    wait_for_stage(page, relative)
    for before in (later, start):
        page.go_back()
        wait_for_stage(page, before)


def test_a_wider_difference_varies_more(open_page: Open, wait_until_idle: WaitUntilIdle) -> None:
    page = open_page(f"{COLOURS}&tool=vary")
    slider = page.get_by_role("slider", name="Difference")

    def spread() -> float:
        wait_until_idle(page)
        start = pixels(wait_for_tile(page, 12, "#vary-tiles")).astype(int)
        others = [pixels(wait_for_tile(page, k, "#vary-tiles")) for k in (0, 1, 2)]
        return float(np.mean([np.abs(one - start) for one in others]))

    slider.press("Home")
    near = spread()
    slider.press("End")
    assert spread() > 2 * near
    slider.dblclick(position={"x": 3, "y": 10})
    expect(slider).to_have_value("0.5")


def test_the_corners_of_the_pad_are_the_pins(open_page: Open, server: str) -> None:
    page = open_page(f"{CLOTHES}&tool=blend&pins={PINS}")
    pad = page.get_by_role("slider", name="Blend of the pictures")
    box = pad.bounding_box()
    assert box is not None
    for corner, (x, y) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.mouse.up()
        wait_for_stage(page, served(server, IMAGES[corner]))


def test_the_pad_is_the_plane_of_the_server(open_page: Open, server: str) -> None:
    page = open_page(f"{COLOURS}&tool=blend&pins=1~2~3~4&pad=0.45,0.5")
    page.get_by_role("slider", name="Blend of the pictures").press("ArrowRight")
    expect(page.locator("#blend-pad")).to_have_attribute(
        "aria-valuetext", "50% to the right, 50% down"
    )
    sheet = served(server, "grid?model=colours&corners=1,2,3,4&rows=3&cols=3")
    wait_for_stage(page, sheet[32:64, 32:64])


def test_a_drag_ends_with_its_pointer_or_its_tool(open_page: Open) -> None:
    page = open_page(f"{COLOURS}&tool=numbers", has_touch=True)
    page.wait_for_selector("body.ready")
    box = page.locator("#bars").bounding_box()
    assert box is not None
    x, y = box["x"] + 20, box["y"] + 20
    page.mouse.click(x, y, button="right")
    name = page.locator("#stage-name")
    expect(name).to_have_text("Picture 3")
    touch = page.context.new_cdp_session(page)
    for kind, points in {"touchStart": [{"x": x, "y": y}], "touchCancel": []}.items():
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(name).to_have_text("Picture without a seed")
    expect(page).to_have_url(re.compile("latent="))
    page.get_by_role("link", name="Blend four").click()
    page.mouse.move(x, y)
    page.mouse.down()
    page.go_back()
    expect(page.locator("#blend")).to_be_hidden()
    start = page.url
    page.mouse.move(x + 20, y)
    page.mouse.up()
    page.get_by_role("button", name="Pixels").click()  # every change writes the address
    expect(page).to_have_url(f"{start}&pixels=1")


def test_keyboard_and_play_move_through_a_morph(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page(f"{CLOTHES}&tool=morph&pins={PINS}")
    expect(page.locator("#morph")).to_have_attribute("aria-busy", "false")
    wait_until_idle(page)
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    slider = page.get_by_role("slider", name="Position in the morph")
    for number, path in enumerate(IMAGES):
        slider.fill(str(number))
        wait_for_stage(page, served(server, path))
    path = "interpolate?model=clothes&from=3&to=17&to_class=bag&steps=3"
    slider.fill("0.5")
    wait_for_stage(page, served(server, path)[:, 32:64])
    assert [url for url in urls if "/web/" not in url] == []  # frames were fetched before
    page.get_by_role("button", name="Play").click()
    before = pixels(stage(page))
    wait_for(page, lambda: difference(pixels(stage(page)), before) > 0)
    page.get_by_role("button", name="Pause").click()
    expect(page).to_have_url(re.compile(r"&tool=morph&at=(?!0\.5&)"))


def test_a_morph_stops_for_what_a_person_chooses(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page(f"{COLOURS}&tool=morph&pins=3~17")
    wait_until_idle(page)
    held: list[Route] = []
    page.route("**/images/**", lambda route: held.append(route), times=1)  # noqa: PLW0108
    with page.expect_request("**/images/**"):
        page.get_by_role("button", name="Shuffle").click()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    play = page.locator("#morph-play")
    play.click()
    expect(page.locator("#morph-position")).not_to_have_text("0%")
    wait_for(page, lambda: held)
    with page.expect_response("**/images/**"):
        held.pop().continue_()
    wait_until_idle(page)
    page.get_by_role("slider", name="Position in the morph").fill("0.5")
    expect(play).to_have_text("Play")
    assert [url for url in sent if "/web/" not in url] == []  # the late picture stays away
    play.click()
    expect(page.locator("#morph-position")).not_to_have_text("50%")
    tile(page, 5).click()
    expect(play).to_have_text("Play")
    wait_for_stage(page, served(server, "images/colours/1/5.png"))


def test_a_morph_that_plays_is_shared_as_it_is(open_page: Open) -> None:
    page = open_page(
        f"{COLOURS}&tool=morph&pins=3~17", permissions=["clipboard-read", "clipboard-write"]
    )
    page.get_by_role("button", name="Play").click()
    expect(page.locator("#morph-position")).not_to_have_text("0%")
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    expect(page.locator("#morph-play")).to_have_text("Pause")
    assert "&latent=" in page.evaluate("navigator.clipboard.readText()")
    expect(page).to_have_title(re.compile("^colours without a seed "))


def test_each_file_of_a_morph_has_its_own_progress(open_page: Open) -> None:
    page = open_page(f"{COLOURS}&tool=morph&pins=3~17")
    held: list[Route] = []
    page.route("**/web/morph", lambda route: held.append(route))  # noqa: PLW0108
    for format_ in ("GIF", "WebP"):
        with page.expect_request("**/web/morph"):
            page.get_by_role("button", name=f"Save {format_}").click()
    wait_for(page, lambda: len(held) == 2)
    for left in (1, 0):
        with page.expect_download():
            held.pop().continue_()
        expect(page.get_by_role("progressbar")).to_have_count(left)


@pytest.mark.parametrize(("path", "button"), [("images", "Shuffle"), ("web/morph", "Save GIF")])
def test_a_connection_that_is_lost_in_an_answer_is_a_reason_to_retry(
    open_page: Open, wait_until_idle: WaitUntilIdle, path: str, button: str
) -> None:
    page = open_page(f"{COLOURS}&tool=morph&pins=3~17")
    wait_until_idle(page)
    page.evaluate(CUT, path)
    page.get_by_role("button", name=button).click()
    expect(page.get_by_text("Can't reach the server.")).to_be_visible()
    with page.expect_response(f"**/{path}**"):
        page.get_by_role("button", name="Try now").click()
    expect(page.get_by_text("Can't reach the server.")).to_be_hidden()


def test_a_morph_of_seeds_and_blends_is_saved(open_page: Open, server: str) -> None:
    page = open_page(f"{CLOTHES}&tool=blend&pins=3~17;class=bag")
    page.locator("#blend-pad").press("ArrowRight")
    page.get_by_role("button", name="Pin", exact=True).click()
    page.get_by_role("link", name="Morph").click()
    for format_, ending in {"GIF": "gif", "WebP": "webp", "APNG": "png"}.items():
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save {format_}").click()
        assert download.value.suggested_filename == f"clothes-1-morph.{ending}"
        with Image.open(download.value.path()) as animation:
            assert (animation.n_frames, animation.info["loop"]) == (72, 0)
            animation.load()
            assert animation.info["duration"] in range(40, 43)
            first = np.asarray(animation.convert("RGB"))[::8, ::8]
        # GIF has fewer colours.
        wrong = np.abs(first.astype(int) - served(server, IMAGES[0])).mean()
        assert wrong < (8 if format_ == "GIF" else 0.1), format_
        expect(page.get_by_role("progressbar")).to_be_hidden()


def test_a_morph_between_edited_pictures_is_saved(open_page: Open, server: str) -> None:
    pins = "3;attributes=glasses;edit=bright:1~3;attributes=-glasses"
    page = open_page(f"?model=people&seed=1&tool=morph&pins={pins}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save APNG").click()
    with Image.open(download.value.path()) as animation:
        assert animation.n_frames == 48
        for number, query in {
            0: "attributes=glasses&edit=bright:1",
            24: "attributes=-glasses",
        }.items():
            animation.seek(number)
            frame = np.asarray(animation.convert("RGB"))[::8, ::8]
            assert difference(frame, served(server, f"images/people/1/3.png?{query}")) <= 1


def test_a_morph_marks_the_pictures_that_it_is_between(open_page: Open) -> None:
    page = open_page(f"{CLOTHES}&tool=morph&pins={PINS}&at=2.5")
    near = page.locator("#morph-stops .near")
    expect(near.first).to_have_accessible_name(re.compile("^Keyframe 99 "))
    expect(near.last).to_have_accessible_name(re.compile("^Keyframe 4 "))
    page.get_by_role("slider", name="Position in the morph").fill("3.5")
    expect(near.first).to_have_accessible_name(re.compile("^Keyframe 3 "))  # it is a loop


def test_a_morph_between_attributes_needs_one_request_for_each_segment(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page("?model=people&seed=1&tool=morph&pins=3~17~99")
    wait_until_idle(page)  # what the first load still requests must not be counted
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.reload()
    expect(page.locator("#morph")).to_have_attribute("aria-busy", "false")
    assert sum("/v2/" in url or "/generate" in url for url in sent) <= 3
    page.get_by_role("slider", name="Position in the morph").fill("0.5")
    strip = served(server, "interpolate?model=people&from=3&to=17&steps=3")
    wait_for_stage(page, strip[:, 32:64])
    held: list[Route] = []
    frames = re.compile("/v2/|/generate.*people")
    page.route(frames, lambda route: held.append(route))  # noqa: PLW0108
    with page.expect_request(frames):
        page.get_by_role("button", name="Unpin all").click()
    page.get_by_role("combobox", name="Model").select_option("colours")
    wait_for(page, lambda: held)
    held[0].continue_()
    expect(page.locator("#morph")).to_have_attribute("aria-busy", "false")
    assert len(held) == 1  # segments that were left behind are not drawn


def summed(server: str, plus: list[list[int]], minus: list[list[int]]) -> Pixels:
    """The image of a sum of seeds, by the server."""
    body = {"model": "colours", "plus": plus, "minus": minus, "neighbours": 1}
    headers = {"Accept": "image/png"}
    answer = httpx.post(f"{server}/arithmetic", json=body, headers=headers, timeout=60)
    return decoded(answer.raise_for_status().content)


def test_sums_of_pictures_are_those_of_the_server(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page(f"{COLOURS}&tool=mix&start=3&pins=17~99")
    page.wait_for_selector("body.ready")
    page.drag_and_drop("[aria-label='Pinned picture 17']", "[data-name=minus]")
    page.drag_and_drop("[aria-label='Pinned picture 99']", "[data-name=plus]")
    page.locator("[data-name=plus] .add").click()  # the picture on the stage
    expect(page).to_have_url(re.compile("start=3&minus=17&plus=99~3"))
    wait_until_idle(page)
    shown = pixels(wait_for_tile(page, 0, "#mix-result"))
    assert difference(shown, summed(server, [[3], [99, 3]], [[17]])) <= 1
    tile(page, 0, "#mix-result").click()
    wait_for_stage(page, shown)
    page.get_by_role("button", name="Remove picture 17 from “Subtract”").click()
    wait_until_idle(page)
    shown = pixels(wait_for_tile(page, 0, "#mix-result"))
    assert difference(shown, summed(server, [[3], [99, 3]], [])) <= 1


def test_a_full_box_of_a_sum_keeps_its_pictures(open_page: Open) -> None:
    full = "~".join(map(str, range(1, 17)))
    page = open_page(f"{COLOURS}&tool=mix&seed=99&start=1&plus={full}")
    page.wait_for_selector("body.ready")
    page.locator("[data-name=plus] .add").click()
    expect(page.locator("#notice")).to_contain_text("“Add” takes up to 16 pictures.")
    expect(page).to_have_url(re.compile(f"plus={full}(&|$)"))
    page.get_by_role("button", name="Remove picture 1 from “Add”").click()
    page.locator("[data-name=plus] .add").click()
    expect(page).to_have_url(re.compile(f"plus={full.removeprefix('1~')}~99(&|$)"))


def test_a_sum_of_classes_is_a_class_of_the_recipe(open_page: Open) -> None:
    page = open_page(
        f"{CLOTHES}&tool=mix&start=3;class=bag~5;class=coat&minus=7;class=coat&plus=9;class=dress"
    )
    tile(page, 0, "#mix-result").click()
    # bag / 2 + coat / 2 - coat + dress, without negatives
    expect(page).to_have_url(re.compile(r"class=dress:0.667\+bag:0.333"))


def test_rounding_errors_of_a_sum_are_no_class(open_page: Open) -> None:
    mixed = [f"{seed};class={'bag' if seed % 3 == 1 else 'coat'}" for seed in range(1, 10)]
    page = open_page(f"{CLOTHES}&tool=mix&start={'~'.join(mixed[:3])}&minus={'~'.join(mixed[3:])}")
    tile(page, 0, "#mix-result").click()
    # Nothing is left of both, so that it is the mixture in "Start with".
    expect(page).to_have_url(re.compile(r"class=coat:0.667\+bag:0.333"))


def test_a_tool_that_is_left_before_its_first_answer_ends_and_goes_on_later(
    open_page: Open,
) -> None:
    page = open_page("?model=shoes&seed=3")
    page.wait_for_selector("body.ready")
    held: list[Route] = []
    busy = page.locator("[aria-busy=true]")
    path = re.compile("/(generate|encode)")
    for name in ("Vary", "Blend four", "Morph", "Yours", "Mix"):
        page.route(path, lambda route: held.append(route), times=1)  # noqa: PLW0108
        with page.expect_request(path):
            page.get_by_role("link", name=name, exact=True).click()
        expect(busy).to_have_count(1)
        wait_for(page, lambda: held)
        if name == "Mix":
            page.get_by_role("button", name="from “Subtract”").click()
        page.get_by_role("link", name="Edit", exact=True).click()
        held.pop().continue_()
        expect(busy).to_have_count(0)
    page.get_by_role("link", name="Mix", exact=True).click()
    expect(busy).to_have_count(0)
    shown = pixels(wait_for_tile(page, 0, "#mix-result"))
    tile(page, 0, "#mix-result").click()
    wait_for_stage(page, shown)  # of the boxes as they were changed meanwhile


@pytest.mark.parametrize("model", ["colours", "clothes", "people", "fashion-mnist"])
def test_every_tool_opens_on_an_example(
    open_page: Open, wait_until_idle: WaitUntilIdle, model: str
) -> None:
    page = open_page(f"?model={model}&tool=vary")
    wait_for_tile(page, 24, "#vary-tiles")
    page.get_by_role("link", name="Blend").click()
    expect(page.locator("#blend-sheet")).not_to_have_js_property("width", 1)
    page.get_by_role("link", name="Morph").click()
    expect(page.locator("#morph-stops .thumbnail")).to_have_count(3)
    page.get_by_role("link", name="Mix").click()
    expect(page.locator("#mix .box .thumbnail")).to_have_count(3)
    wait_for_tile(page, 0, "#mix-result")
    page.get_by_role("link", name="Numbers").click()
    wait_until_idle(page)
    before = pixels(stage(page))
    bars = page.get_by_role("slider", name="Numbers behind the picture")
    bars.press("ArrowRight")
    expect(bars).to_have_attribute("aria-valuetext", re.compile("^number 2 of "))
    for _ in range(5):
        bars.press("ArrowUp")
    expect(page).to_have_url(re.compile("latent="))
    wait_until_idle(page)
    assert difference(pixels(stage(page)), before) > 0
