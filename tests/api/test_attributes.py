"""Attributes of a conditional model over HTTP; its pixels are its attributes and latents."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.artifact import card
from app.latent import arithmetic, interpolation, sampling
from app.latent.conditions import AttributeSampler, Conditions
from tests import conditional
from tests.conditional import ATTRIBUTES, WIDTH, expected, info, pixels, refused, tiles

Decode = Callable[[bytes], NDArray[np.uint8]]

JSON = "application/json"
NAMES = list(ATTRIBUTES)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server with a generator that has attributes, one that has classes, and one with neither."""
    app = conditional.application(tmp_path_factory.mktemp("models"), "people")
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def sampler() -> AttributeSampler:
    found = conditional.described("people", b"").sampler
    assert isinstance(found, AttributeSampler)
    return found


def latents(seeds: list[int]) -> NDArray[np.float32]:
    return sampling.from_seeds(seeds, WIDTH)


def generate(client: TestClient, query: str, body: object = None) -> list[dict[str, Any]]:
    response = client.post(f"/generate?{query}", json=body)
    assert response.status_code == 200, response.text
    images: list[dict[str, Any]] = response.json()["images"]
    return images


def named(row: Conditions) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in zip(NAMES, row, strict=True)}


def test_the_attributes_of_a_seed_are_those_of_a_training_image(
    client: TestClient, decode: Decode, sampler: AttributeSampler
) -> None:
    seeds = [*range(9)]
    images = generate(client, "n=9&seed=0")
    own = sampler.from_seeds(seeds)
    np.testing.assert_array_equal(pixels(images, decode), expected(latents(seeds), own))
    assert [one["attributes"] for one in images] == [named(row) for row in own]
    assert not any("class" in one for one in images)
    for one in images:
        assert "?" not in one["url"]
        response = client.get(one["url"])
        assert response.content == base64.b64decode(one["png"])
        text = sampler.text(own[one["seed"]])
        assert response.headers["X-Attributes"] == info(response.content)["attributes"] == text
        # The text names the image, whatever its seed would have.
        again = client.get(f"{one['url']}?attributes={text}")
        assert again.content == response.content


@pytest.mark.parametrize(
    ("query", "body", "amounts", "text"),
    [
        ("attributes=glasses,-smile", None, {"glasses": 1, "smile": 0}, "glasses,-smile"),
        ("attributes=-SMILE,Glasses", None, {"glasses": 1, "smile": 0}, "glasses,-smile"),
        ("attributes=glasses&attributes=-smile", None, {"glasses": 1, "smile": 0}, None),
        ("attributes=blond:0.25", None, {"blond": 0.25}, "blond:0.25"),
        ("", {"attributes": {"Glasses": 1, "smile": 0}}, {"glasses": 1, "smile": 0}, None),
        ("", {"attributes": {"blond": 0.25}}, {"blond": 0.25}, "blond:0.25"),
        ("", {"attributes": {}}, {}, ""),
    ],
)
def test_attributes_that_are_not_named_follow_the_seed(
    client: TestClient,
    decode: Decode,
    sampler: AttributeSampler,
    query: str,
    body: object,
    amounts: dict[str, float],
    text: str | None,
) -> None:
    seeds = [*range(6)]
    images = generate(client, f"n=6&seed=0&{query}", body)
    rows = sampler.changed(sampler.from_seeds(seeds), amounts)
    np.testing.assert_array_equal(pixels(images, decode), expected(latents(seeds), rows))
    assert [one["attributes"] for one in images] == [named(row) for row in rows]
    for one in images:
        _, _, found = one["url"].partition("?attributes=")
        assert text is None or found == text
        assert client.get(one["url"]).content == base64.b64decode(one["png"])


def test_a_requested_attribute_clears_those_it_excludes(client: TestClient) -> None:
    for one in generate(client, "n=9&seed=0&attributes=blond"):
        assert (one["attributes"]["blond"], one["attributes"]["brown"]) == (1, 0)


def test_latents_have_the_most_frequent_attributes_unless_some_are_named(
    client: TestClient, decode: Decode
) -> None:
    z = np.float32([[0.5] * WIDTH])
    for body, row in (
        ({}, [0, 0, 1, 1]),
        ({"attributes": {"blond": 1}}, [0, 1, 0, 1]),
    ):
        images = generate(client, "", {"latents": z.tolist(), **body})
        np.testing.assert_array_equal(pixels(images, decode), expected(z, np.float32([row])))


def test_paths_planes_and_neighbours_have_attributes(
    client: TestClient, decode: Decode, sampler: AttributeSampler
) -> None:
    amounts = {"glasses": 1.0, "smile": 0.5}
    three, four = (
        sampler.changed(sampler.from_seeds(seeds), amounts) for seeds in ([1, 2, 3], [1, 2, 3, 4])
    )
    layout = arithmetic.Neighbourhood(1, 1, 3, 3)
    for query, z, c in (
        (
            "/interpolate?seeds=1,2,3&steps=4&method=lerp",
            interpolation.path(latents([1, 2, 3]), 4, "lerp"),
            interpolation.path(three, 4, "lerp"),
        ),
        (
            "/grid?corners=1,2,3,4&rows=3&cols=3",
            interpolation.plane(latents([1, 2, 3, 4]), 3, 3),
            interpolation.plane(four, 3, 3, "lerp"),
        ),
        ("/grid?rows=1&cols=4&seed=1", latents([1, 2, 3, 4]), four),
        (
            "/variations?seed=1&radius=1",
            layout.latents_around(latents([1])[0]),
            four[:1].repeat(9, axis=0),
        ),
    ):
        response = client.get(f"{query}&attributes=glasses,smile:0.5")
        np.testing.assert_array_equal(tiles(decode(response.content)), expected(z, c), query)


def test_a_sum_adds_attributes_and_a_request_may_set_them(
    client: TestClient, decode: Decode, sampler: AttributeSampler
) -> None:
    plus, minus = [[1, 2], [3]], [[4]]
    z = arithmetic.sum_of_means(map(latents, plus), map(latents, minus))[None]
    own = [sampler.from_seeds(seeds) for seeds in (*plus, *minus)]
    summed = sampler.sum_of_means(own[:2], own[2:])
    for body, c in (({}, summed), ({"attributes": {"blond": 1}}, None)):
        response = client.post(
            "/arithmetic",
            json={"plus": plus, "minus": minus, "neighbours": 1, **body},
            headers={"Accept": JSON},
        )
        (image,) = response.json()["images"]
        wanted = sampler.changed(summed, {"blond": 1}) if c is None else c
        np.testing.assert_array_equal(pixels([image], decode), expected(z, wanted))
        assert response.headers["X-Attributes"] == sampler.text(wanted[0])


def test_a_grid_has_a_row_for_each_attribute(
    client: TestClient, decode: Decode, sampler: AttributeSampler
) -> None:
    for query, amounts in (
        ("", {}),
        ("&attributes=smile", {"smile": 1.0}),
        ("&attributes=blond,-glasses", {"blond": 1.0, "glasses": 0.0}),
    ):
        path = f"/grid?rows=attributes&cols=3&seed=7{query}"
        response = client.get(path)
        own = sampler.changed(sampler.from_seeds([7, 8, 9]), amounts)
        c = np.concatenate([sampler.changed(own, {name: 1}) for name in NAMES])
        wanted = expected(np.tile(latents([7, 8, 9]), (4, 1)), c)
        np.testing.assert_array_equal(tiles(decode(response.content)), wanted)
        images = client.get(f"{path}&format=json").json()["images"]
        np.testing.assert_array_equal(pixels(images, decode), wanted)
        urls = [one["url"] for one in client.get(f"{path}&format=urls").json()["images"]]
        for one, url in zip(images, urls, strict=True):
            assert one["url"] == url
            assert client.get(url).content == base64.b64decode(one["png"])


def test_an_edit_moves_the_latent_and_keeps_the_attributes(
    client: TestClient, decode: Decode, sampler: AttributeSampler
) -> None:
    images = generate(client, "n=3&seed=7&attributes=glasses", {"edit": {"hat": 2}})
    moved = latents([7, 8, 9]) + 2 * np.float32(conditional.EDIT)
    rows = sampler.changed(sampler.from_seeds([7, 8, 9]), {"glasses": 1})
    np.testing.assert_array_equal(pixels(images, decode), expected(moved, rows))
    assert (
        images[0]["url"] == "http://testserver/images/people/1/7.png?attributes=glasses&edit=hat:2"
    )


def test_models_list_attributes_with_an_example(client: TestClient) -> None:
    (version,) = client.get("/models/people").json()["versions"]
    assert version["classes"] == []
    found = version["condition_attributes"]
    assert {one["name"]: one["excludes"] for one in found} == ATTRIBUTES
    assert list(version["attributes"]) == ["hat"]  # for edit
    for one in found:
        response = client.get(one["example"])
        assert one["name"] in response.headers["X-Attributes"].split(",")


ALLOWED = "one of glasses, blond, brown, smile"
NONE = "left out: grey/1 has no attributes to choose"
OTHERS = (
    "left out: shoes/1 has no attributes to choose; it has the classes boot, sneaker, t-shirt, 0"
)


@pytest.mark.parametrize(
    "path",
    [
        "/generate?",
        "/images/{model}/1/1.png?",
        "/interpolate?from=1&to=2&",
        "/interpolate?from=1&to=2&from_class=boot&",
        "/grid?",
        "/variations?seed=1&",
    ],
)
def test_an_attribute_that_a_model_does_not_have_is_refused_by_every_route(
    client: TestClient, path: str
) -> None:
    for model, allowed in (("people", ALLOWED), ("grey", NONE), ("shoes", OTHERS)):
        query = path.format(model=model) + ("" if "{model}" in path else f"model={model}&")
        errors = refused(client, f"{query}attributes=hat,-scarf")
        assert [one["value"] for one in errors] == ["hat", "scarf"]
        for error in errors:
            assert (error["parameter"], error["in"], error["allowed"]) == (
                "attributes",
                "query",
                allowed,
            )


@pytest.mark.parametrize(
    ("sent", "parameter", "value", "allowed"),
    [
        ({"hat": 1}, "attributes", "hat", ALLOWED),
        (
            {"glasses": 1, "GLASSES": 0},
            "attributes",
            None,
            "a JSON object of at most 64 values, each",
        ),
        ({"glasses": 1.5}, "attributes.glasses", 1.5, "a number from 0 to 1"),
        ({"glasses": -0.1}, "attributes.glasses", -0.1, "a number from 0 to 1"),
        ({"glasses": "1"}, "attributes.glasses", "1", "a number from 0 to 1"),
        ({"glasses": True}, "attributes.glasses", True, "a number from 0 to 1"),
        ({"glasses": float("nan")}, "attributes.glasses", "nan", "a number from 0 to 1"),
        ([], "attributes", [], "a JSON object of at most 64 values, each a number from 0 to 1"),
        (None, "attributes", None, "a JSON object of at most 64 values, each"),
        ({f"a{k}": 1 for k in range(65)}, "attributes", None, "a JSON object of at most 64"),
    ],
)
def test_an_error_in_the_body_names_what_is_allowed(
    client: TestClient, sent: object, parameter: str, value: object, allowed: str
) -> None:
    for path, body in (("/generate", {}), ("/arithmetic", {"plus": [[1]]})):
        (error,) = refused(client, path, {**body, "attributes": sent})
        assert (error["parameter"], error["in"]) == (parameter, "body")
        assert value is None or error["value"] == value
        assert error["allowed"].startswith(allowed)


@pytest.mark.parametrize(
    "text",
    ["", "glasses,", "glasses:2", "glasses:-1", "--glasses", "-glasses:1", "glasses,-GLASSES"],
)
def test_an_error_in_the_query_names_what_is_allowed(client: TestClient, text: str) -> None:
    query = json.dumps(text).strip('"')
    for path in ("/generate", "/images/people/1/1.png", "/grid"):
        (error,) = refused(client, f"{path}?attributes={query}")
        assert (error["parameter"], error["in"], error["value"]) == ("attributes", "query", text)
        assert error["allowed"].startswith(
            "1 to 64 values separated by commas, each text like glasses, of the form name, -name "
            "or name:value with a value from 0 to 1"
        )


def test_attributes_are_in_the_query_or_in_the_body(client: TestClient) -> None:
    errors = refused(client, "/generate?attributes=glasses", {"attributes": {"smile": 1}})
    assert [(one["parameter"], one["in"]) for one in errors] == [("attributes", "query")]


def test_attributes_of_a_card_are_those_of_the_graph() -> None:
    described = conditional.described("people", conditional.graph("people"))
    assert described.inputs == {card.INPUT: WIDTH, card.CLASSES: len(NAMES)}
