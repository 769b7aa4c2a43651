"""Recipes: how addresses hold them, and that the page finds the same numbers as the server."""

import re
from collections.abc import Callable
from typing import get_args

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
import numpy as np
from playwright.sync_api import Page, expect

from app.latent import sampling
from app.latent.sampling import Prior
from tests.browser.generators import CLASSES
from tests.browser.pictures import served, tile, wait_for_stage, wait_for_tile
from tests.waiting import PATIENCE

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]

CLOTHES, PEOPLE = "?model=clothes&version=1", "?model=people&version=1"
FULL = (
    "?model=colours&version=1&seed=7&edit=bright:1.5,warm_sky:-2&truncation=0.7&tool=mix&first=9"
    "&scroll=60&apply=1&pixels=1&radius=0.3&pad=0.2,0.75&at=1.5&pins=3~17;edit=bright:1&start=3"
    "&minus=17&plus=99~4"
)


def test_the_page_computes_the_latents_of_the_server(open_page: Open) -> None:
    page = open_page("?model=colours")
    script = """async ([seeds, prior, width]) => {
        const { fromSeed, noise } = await import('/web/latents.js');
        const options = { prior, width };
        return seeds.map((seed) => [fromSeed(seed, options), noise(seed, 3, width)]);
    }"""
    seeds = [0, 3, 2**32 - 1]
    for prior in get_args(Prior):
        found = page.evaluate(script, [seeds, prior, 7])
        expected = sampling.from_seeds(seeds, 7, prior)
        np.testing.assert_allclose([latent for latent, _ in found], expected, rtol=1e-6)
    for seed, (_, noise) in zip(seeds, found, strict=True):
        np.testing.assert_allclose(noise, sampling.noise(seed, 4, 7)[3], rtol=1e-12)


def test_a_latent_survives_its_text(open_page: Open) -> None:
    page = open_page("?model=colours")
    script = """async (numbers) => {
        const { fromText, toText } = await import('/web/latents.js');
        return [fromText(toText(numbers), numbers.length), fromText(toText(numbers), 9)];
    }"""
    numbers = [0, -6.77, 6.77, 0.001, 20]
    found, other = page.evaluate(script, numbers)
    np.testing.assert_allclose(found, np.clip(numbers, -16, 16), atol=0.5 / 1024)
    assert other is None


def test_an_address_restores_every_field(open_page: Open, server: str) -> None:
    page = open_page(FULL)
    page.wait_for_selector("body.ready")
    assert page.url == f"{server}/{FULL}"
    expect(page.locator("#mix .thumbnail")).to_have_count(4)
    expect(page.get_by_role("button", name="Pinned picture 17, bright +1")).to_be_visible()
    expect(page.get_by_label("First seed")).to_have_value("9")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_role("slider", name="bright")).to_have_value("1.5")
    expect(page.get_by_role("slider", name="Variety")).to_have_value("0.7")


def test_invalid_parts_of_an_address_are_removed(open_page: Open, server: str) -> None:
    page = open_page()
    for invalid in (
        "model=gone&version=9&tool=constructor&seed=-1&pins=x~~4294967296&radius=7",
        "version=77",
        "edit=beard:9,:,&start=&minus=",
        "truncation=0&seed=1.5",
        "version=1.5&first=1.5&scroll=0.5",
        "latent=AAAA",  # of another width
        "model=fashion-mnist&edit=bright:2",  # the model has no attributes
        "%E0%A4%A=&&==",
    ):
        page.goto(f"{server}/?{invalid}")
        expect(page).to_have_url(re.compile(r"/\?model=fashion-mnist&version=\d&seed=\d+$"))


def test_model_and_version_can_be_switched(open_page: Open, server: str) -> None:
    page = open_page("?seed=5")
    expect(
        page.get_by_text(
            "28 × 28 grey pictures. Trained on fashion-mnist (60,000 pictures). Runs on the CPU."
        )
    ).to_be_visible()
    page.get_by_label("Version").select_option("1")
    expect(page).to_have_url(re.compile("model=fashion-mnist&version=1&seed=5$"))
    page.get_by_role("combobox", name="Model").select_option("colours")
    expect(page).to_have_url(re.compile("model=colours&version=1&seed=5$"))
    wait_for_stage(page, served(server, "images/colours/1/5.png"))
    page.go_back()
    wait_for_stage(page, served(server, "images/fashion-mnist/1/5.png"))


def test_pictures_are_named_by_the_classes_that_the_server_draws(
    open_page: Open, server: str
) -> None:
    page = open_page(f"{CLOTHES}&first=4294967290")
    expect(tile(page, 29)).to_be_visible()
    labels = page.locator("#sheets .open").evaluate_all("(all) => all.map((one) => one.ariaLabel)")
    seeds = [(4294967290 + k) % 2**32 for k in range(30)]
    answer = httpx.post(f"{server}/generate?model=clothes", json={"seeds": seeds}, timeout=PATIENCE)
    drawn = [f"Picture {one['seed']} ({one['class']})" for one in answer.json()["images"]]
    assert labels[:30] == drawn
    assert len({one["class"] for one in answer.json()["images"]}) > 4


def test_chips_choose_and_mix_classes(open_page: Open, server: str) -> None:
    page = open_page(f"{CLOTHES}&seed=5")
    chips = page.get_by_role("group", name="Class")
    expect(chips.get_by_role("radio")).to_have_count(1 + len(CLASSES))
    expect(page.get_by_label("Mix with")).to_be_hidden()
    chips.get_by_role("radio", name="trouser").check()
    wait_for_stage(page, served(server, "images/clothes/1/5.png?class=trouser"))
    page.get_by_label("Mix with").select_option("bag")
    share = page.get_by_role("slider", name="Share of the second class")
    for _ in range(4):
        share.press("ArrowLeft")
    expect(share).to_have_attribute("aria-valuetext", "30% bag")
    expect(page).to_have_url(re.compile(r"&class=trouser:0.7\+bag:0.3$"))
    wait_for_stage(page, served(server, "images/clothes/1/5.png?class=trouser:0.7+bag:0.3"))
    expect(page.get_by_role("img", name="Picture 5 (70% trouser, 30% bag)")).to_be_visible()
    page.get_by_role("button", name="Pin", exact=True).click()
    chips.get_by_role("radio", name="Any").check()
    page.get_by_role("button", name="Pinned picture 5 (70% trouser, 30% bag)").click()
    expect(chips.get_by_role("radio", name="trouser")).to_be_checked()


def test_weights_of_classes_in_an_address_may_have_any_sum(open_page: Open) -> None:
    page = open_page(f"{CLOTHES}&seed=5&class=bag:3+coat")
    share = page.get_by_role("slider", name="Share of the second class")
    expect(share).to_have_attribute("aria-valuetext", "25% coat")
    share.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"&class=bag:0.7\+coat:0.3$"))
    share.dblclick(position={"x": 3, "y": 10})
    expect(page).to_have_url(re.compile(r"&class=bag:0.5\+coat:0.5$"))


def test_a_row_for_each_class(open_page: Open, wait_until_idle: WaitUntilIdle, server: str) -> None:
    page = open_page(f"{CLOTHES}&first=7&seed=1")
    page.get_by_label("A row for each class").check()
    wait_until_idle(page)
    columns = page.locator(".sheet").first.evaluate("(sheet) => sheet.columns")
    sneaker = tile(page, columns * list(CLASSES).index("sneaker") + 2)
    expect(sneaker).to_have_accessible_name("Picture 9 (sneaker)")
    page.get_by_label("Apply to gallery").check()
    wait_until_idle(page)
    sneaker.focus()
    sneaker.press("Enter")
    wait_for_stage(page, served(server, "images/clothes/1/9.png?class=sneaker"))
    expect(sneaker).to_be_focused()  # the gallery has the same pictures as before


def test_sliders_set_the_attributes_of_a_conditional_model(open_page: Open, server: str) -> None:
    page = open_page(f"{PEOPLE}&seed=5")
    glasses = page.get_by_role("slider", name="glasses")
    answer = httpx.get(f"{server}/images/people/1/5.png", timeout=PATIENCE)
    own = answer.headers["X-Attributes"].split(",")
    expect(glasses).to_have_value("1" if "glasses" in own else "0")
    expect(glasses).to_have_attribute("aria-valuetext", re.compile("as the seed has it$"))
    percentage = page.locator("label", has=glasses).locator("output")
    expect(percentage).to_have_text("100%" if "glasses" in own else "0%")
    expect(percentage).not_to_have_class("chosen")
    glasses.fill("0.36")
    expect(percentage).to_have_text("36%")
    expect(percentage).to_have_class("chosen")
    wait_for_stage(page, served(server, "images/people/1/5.png?attributes=glasses:0.36"))
    glasses.press("End")
    wait_for_stage(page, served(server, "images/people/1/5.png?attributes=glasses"))
    page.get_by_role("slider", name="blond hair").fill("1")
    page.get_by_role("slider", name="brown hair").press("End")
    # Nobody in the training images has both.
    expect(page.get_by_role("slider", name="blond hair")).to_have_value("0")
    expect(page).to_have_url(re.compile("&attributes=brown_hair,glasses$"))
    wait_for_stage(page, served(server, "images/people/1/5.png?attributes=brown_hair,glasses"))
    glasses.dblclick(position={"x": 3, "y": 10})
    expect(glasses).to_have_attribute("aria-valuetext", re.compile("as the seed has it$"))
    page.get_by_role("button", name="Reset all").click()
    expect(page).not_to_have_url(re.compile("attributes"))


def test_an_attribute_that_was_excluded_stays_absent_without_a_seed(
    open_page: Open, server: str
) -> None:
    answer = httpx.get(f"{server}/images/people/1/0.png", timeout=PATIENCE)
    own = answer.headers["X-Attributes"].split(",")
    (mine,) = {"blond_hair", "brown_hair"} & set(own)  # of seed 0, which no latent has
    (other,) = {"blond_hair", "brown_hair"} - {mine}
    page = open_page(f"{PEOPLE}&tool=blend&pins=0~1~2~3")
    page.locator("#blend-pad").press("ArrowRight")
    page.get_by_role("link", name="Edit").click()
    slider = page.get_by_role("slider", name=other.replace("_", " "))
    for key in ("End", "Home"):
        slider.press(key)
        expect(page.get_by_role("slider", name=mine.replace("_", " "))).to_have_value("0")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save", exact=True).click()
    assert download.value.suggested_filename == "people-1-latent.png"


def test_pictures_are_named_by_the_attributes_that_the_server_draws(
    open_page: Open, server: str
) -> None:
    page = open_page(f"{PEOPLE}&seed=5")
    wait_for_tile(page, 9)
    for seed in range(10):
        answer = httpx.get(f"{server}/images/people/1/{seed}.png", timeout=PATIENCE)
        drawn = answer.headers["X-Attributes"].split(",")
        seen = [name.replace("_", " ") for name in drawn if not name.startswith("-")]
        expect(tile(page, seed)).to_have_accessible_name(", ".join([f"Picture {seed}", *seen]))


def test_classes_that_a_model_does_not_have_leave_the_address(open_page: Open) -> None:
    page = open_page(
        f"{CLOTHES}&seed=1&class=hat&pins=3;class=hat~3~3;class=bag&attributes=glasses"
    )
    expected = re.compile(re.escape(f"{CLOTHES}&seed=1&pins=3~3;class=bag") + "$")
    expect(page).to_have_url(expected)
    # The server refuses mixtures of nothing, and those with a class twice.
    page.goto(page.url.replace("pins", "class=bag:0&pins").replace("3~3", "3;class=bag+bag:2~3"))
    expect(page).to_have_url(expected)


def test_stored_pins_lose_what_their_model_no_longer_has(open_page: Open) -> None:
    page = open_page("?model=people&seed=1")
    page.evaluate("localStorage.setItem('pins/clothes/1', '3;edit=bright:1~3;class=hat~4')")
    page.get_by_role("combobox", name="Model").select_option("clothes")
    expect(page.locator("#pins-list button")).to_have_count(2)
    page.get_by_role("link", name="Morph").click()
    expect(page.locator("#morph-stops button")).to_have_count(2)
