"""The large picture: shuffle, pin, save, share, code, and sliders that edit it."""

import re
from collections.abc import Callable

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.pictures import served, stage, wait_for, wait_for_stage
from tests.waiting import PATIENCE

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]

COLOURS = "?model=colours&version=1&seed=3"


def clipboard(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_space_shuffles_and_back_returns(open_page: Open, server: str) -> None:
    page = open_page(COLOURS)
    wait_for_stage(page, served(server, "images/colours/1/3.png"))
    page.locator("body").press("Space")
    expect(page).not_to_have_url(re.compile("seed=3(&|$)"))
    (seed,) = re.findall(r"seed=(\d+)", page.url)
    wait_for_stage(page, served(server, f"images/colours/1/{seed}.png"))
    expect(page).to_have_title(re.compile(f"^colours {seed} "))
    page.go_back()
    wait_for_stage(page, served(server, "images/colours/1/3.png"))


def test_the_picture_is_saved_enlarged(open_page: Open, server: str) -> None:
    page = open_page(f"{COLOURS}&edit=bright:1.5")
    page.wait_for_selector("body.ready")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save", exact=True).click()
    assert download.value.suggested_filename == "colours-1-3-edit-bright-1.5.png"
    url = f"{server}/images/colours/1/3.png?edit=bright:1.5&scale=8"
    content = httpx.get(url, timeout=PATIENCE).content
    assert download.value.path().read_bytes() == content


def test_a_key_that_is_held_down_counts_once(open_page: Open) -> None:
    page = open_page(COLOURS)
    page.wait_for_selector("body.ready")
    page.keyboard.down("p")
    page.keyboard.down("p")  # as the keyboard repeats it
    page.keyboard.up("p")
    expect(page.locator("#stage-pin")).to_have_text("Unpin")


def test_the_picture_is_smooth_or_shows_its_pixels(open_page: Open) -> None:
    page = open_page(COLOURS)
    page.wait_for_selector("body.ready")
    expect(stage(page)).to_have_css("image-rendering", "auto")
    pixels = page.get_by_role("button", name="Pixels")
    pixels.click()
    expect(stage(page)).to_have_css("image-rendering", "pixelated")
    expect(pixels).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile("&pixels=1$"))
    page.reload()
    expect(stage(page)).to_have_css("image-rendering", "pixelated")


def test_share_copies_an_address_that_shows_the_same(open_page: Open, server: str) -> None:
    page = open_page(
        f"{COLOURS}&edit=bright:1.5&tool=vary", permissions=["clipboard-read", "clipboard-write"]
    )
    page.wait_for_selector("body.ready")
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    page.goto(clipboard(page))
    wait_for_stage(page, served(server, "images/colours/1/3.png?edit=bright:1.5"))
    expect(page.locator("#vary")).to_be_visible()


def test_the_address_is_copied_without_the_clipboard_api(open_page: Open) -> None:
    page = open_page(COLOURS, permissions=["clipboard-read"])
    page.wait_for_selector("body.ready")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
    page.get_by_role("button", name="Share").press("Enter")
    expect(page.get_by_role("button", name="Link copied")).to_be_focused()
    assert clipboard(page) == page.url


@pytest.mark.parametrize("start", [COLOURS, f"{COLOURS}&tool=blend&pins=3~17~4~5"])
def test_the_code_draws_what_is_shown(
    open_page: Open, wait_until_idle: WaitUntilIdle, start: str
) -> None:
    page = open_page(start)
    wait_until_idle(page)
    if "blend" in start:
        page.locator("#blend-pad").press("ArrowRight")
        wait_until_idle(page)
    page.get_by_role("button", name="Code").click()
    command = page.locator("#code-curl").inner_text()
    (url,) = re.findall(r"'(http[^']+)'", command)
    if "-d '" in command:
        body = re.findall(r"-d '(.+)'$", command)[0]
        headers = {"Content-Type": "application/json", "Accept": "image/png"}
        answer = httpx.post(url, content=body, headers=headers, timeout=PATIENCE)
    else:
        answer = httpx.get(url, timeout=PATIENCE)
    assert answer.headers["Content-Type"] == "image/png"
    assert url in page.locator("#code-javascript").inner_text()
    compile(page.locator("#code-python").inner_text(), "python", "exec")


def test_a_slider_edits_the_stage_alone_one_request_at_a_time(
    open_page: Open, server: str, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page(COLOURS)
    wait_until_idle(page)
    sent: list[str] = []
    running: set[Request] = set()
    most = 0

    def note(request: Request) -> None:
        nonlocal most
        if "/web/" in request.url:
            return  # Chromium asks for the icon again where the address changes
        sent.append(request.url)
        running.add(request)
        most = max(most, len(running))

    page.on("request", note)
    page.on("requestfinished", lambda request: running.discard(request))  # noqa: PLW0108
    slider = page.get_by_role("slider", name="bright")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for k in range(50, 101):
        page.mouse.move(box["x"] + box["width"] * k / 100, box["y"] + box["height"] / 2)
    assert "edit" not in page.url  # the address changes on release
    page.mouse.up()
    expect(page).to_have_url(re.compile("edit=bright:3$"))
    wait_for_stage(page, served(server, "images/colours/1/3.png?edit=bright:3"))
    assert most == 1
    assert {"images/colours/1/3.png" in url for url in sent} == {True}
    page.go_back()  # sliders replace the address
    expect(page).to_have_url("about:blank")


def test_keyboard_and_double_click_move_a_slider(open_page: Open, server: str) -> None:
    page = open_page(COLOURS)
    slider = page.get_by_role("slider", name="warm sky")
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^.3$"))
    wait_for_stage(page, served(server, "images/colours/1/3.png?edit=warm_sky:-3"))
    slider.dblclick(position={"x": 3, "y": 10})
    expect(slider).to_have_attribute("aria-valuetext", "unchanged")
    variety = page.get_by_role("slider", name="Variety")
    for _ in range(6):
        variety.press("ArrowLeft")
    expect(page).to_have_url(re.compile("truncation=0.7$"))
    wait_for_stage(page, served(server, "images/colours/1/3.png?truncation=0.7"))
    page.get_by_role("button", name="Reset all").click()
    wait_for_stage(page, served(server, "images/colours/1/3.png"))


def test_directions_without_an_attribute_follow_those_with_one(
    open_page: Open, server: str
) -> None:
    page = open_page(COLOURS)
    expect(page.locator("#sliders legend")).to_have_text(["Attributes", "Directions"])
    slider = page.get_by_role("group", name="Directions").get_by_role("slider", name="sefa 1")
    expect(slider).to_have_attribute("title", re.compile("^Found without labels"))
    slider.press("End")
    expect(page).to_have_url(re.compile("edit=sefa_1:3$"))
    wait_for_stage(page, served(server, "images/colours/1/3.png?edit=sefa_1:3"))


def test_changes_before_the_server_responds_are_respected(open_page: Open, server: str) -> None:
    page = open_page(COLOURS)
    held: list[Route] = []
    page.route("**/models", lambda route: held.append(route))  # noqa: PLW0108
    page.goto("about:blank")
    page.goto(f"{server}/{COLOURS}&pins=3~17", wait_until="load")
    page.get_by_role("slider", name="Variety").press("ArrowLeft")
    wait_for(page, lambda: held)
    held[0].continue_()
    wait_for_stage(page, served(server, "images/colours/1/3.png?truncation=0.95"))
    expect(page).to_have_url(re.compile("truncation=0.95&pins=3~17"))


def test_shortcuts_are_listed_and_leave_fields_alone(open_page: Open) -> None:
    page = open_page(COLOURS)
    page.wait_for_selector("body.ready")
    page.get_by_label("First seed").press("p")
    assert "pins" not in page.url
    page.get_by_role("heading", name="Gallery").click()
    page.keyboard.press("P")  # as with Caps Lock
    expect(page).to_have_url(re.compile("pins=3$"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
