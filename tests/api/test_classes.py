"""Classes over HTTP, with a generator whose pixels are its conditions and latents."""

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.api.drawn import Drawn
from app.latent import arithmetic, interpolation, sampling
from app.latent.conditions import ClassSampler
from tests import conditional
from tests.conditional import CLASSES, WIDTH, expected, info, pixels, refused, tiles

Decode = Callable[[bytes], NDArray[np.uint8]]

PNG, ZIP, JSON = "image/png", "application/zip", "application/json"
NAMES = list(CLASSES)
SAMPLER = ClassSampler(tuple(CLASSES), tuple(CLASSES.values()))
MIXTURE = {"sneaker": 0.7, "boot": 0.3}
TEXT = "boot:0.3+sneaker:0.7"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server with a generator that has classes, one that has attributes, and one with neither."""
    app = conditional.application(tmp_path_factory.mktemp("models"), "shoes")
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def rows(*names: str) -> NDArray[np.float32]:
    """The conditions of classes, one-hot."""
    return np.float32([[one == name for one in NAMES] for name in names])


def latents(seeds: Sequence[int]) -> NDArray[np.float32]:
    return sampling.from_seeds(seeds, WIDTH)


def generate(client: TestClient, query: str, body: object = None) -> list[dict[str, Any]]:
    response = client.post(f"/generate?{query}", json=body)
    assert response.status_code == 200, response.text
    images: list[dict[str, Any]] = response.json()["images"]
    return images


def test_each_seed_has_a_class_of_its_own(client: TestClient, decode: Decode) -> None:
    images = generate(client, "n=12&seed=5")
    own = SAMPLER.from_seeds(range(5, 17))
    np.testing.assert_array_equal(pixels(images, decode), expected(latents(range(5, 17)), own))
    assert [one["class"] for one in images] == [NAMES[k] for k in own.argmax(axis=1)]
    assert len({one["class"] for one in images}) > 1
    assert not any("attributes" in one for one in images)
    for one in images:
        assert "class=" not in one["url"]
        response = client.get(one["url"])
        assert response.content == base64.b64decode(one["png"])
        assert response.headers["X-Class"] == info(response.content)["class"] == one["class"]


@pytest.mark.parametrize(
    ("query", "body", "names"),
    [
        ("class=sneaker", None, ["sneaker"]),
        ("class=1", None, ["sneaker"]),
        ("class=0", None, ["0"]),  # a name has precedence over an index
        ("class=Sneaker,T-SHIRT", None, ["sneaker", "t-shirt"]),
        ("class=sneaker&class=t-shirt", None, ["sneaker", "t-shirt"]),
        ("", {"class": "t-shirt"}, ["t-shirt"]),
        ("", {"class": "sneaker,t-shirt"}, ["sneaker", "t-shirt"]),
        ("", {"class": 2}, ["t-shirt"]),
        ("", {"class": 2.0}, ["t-shirt"]),
        ("", {"class": {"t-shirt": 5}}, ["t-shirt"]),
    ],
)
def test_classes_are_names_or_indices_and_repeated_in_turn(
    client: TestClient, decode: Decode, query: str, body: object, names: list[str]
) -> None:
    images = generate(client, f"n=5&seed=7&{query}", body)
    turns = [names[k % len(names)] for k in range(5)]
    assert [one["class"] for one in images] == turns
    found = pixels(images, decode)
    np.testing.assert_array_equal(found, expected(latents(range(7, 12)), rows(*turns)))
    for one in images:
        assert one["url"].endswith(f"/{one['seed']}.png?class={one['class']}")
        assert client.get(one["url"]).content == base64.b64decode(one["png"])


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {"class": MIXTURE}),
        ("", {"class": {"Sneaker": 70, "boot": 30, "t-shirt": 0}}),
        ("", {"class": TEXT}),
        ("class=sneaker:0.7%2Bboot:0.3", None),
        ("class=sneaker:7+boot:3", None),
    ],
)
def test_classes_are_mixed_by_weights_that_are_scaled_to_one(
    client: TestClient, decode: Decode, query: str, body: object
) -> None:
    images = generate(client, f"n=2&seed=7&{query}", body)
    mixture = np.float32([[0.3, 0.7, 0, 0]] * 2)
    np.testing.assert_array_equal(pixels(images, decode), expected(latents([7, 8]), mixture))
    assert [one["class"] for one in images] == [MIXTURE] * 2
    for one in images:
        assert one["url"] == f"http://testserver/images/shoes/1/{one['seed']}.png?class={TEXT}"
        response = client.get(one["url"])
        assert response.content == base64.b64decode(one["png"])
        assert response.headers["X-Class"] == info(response.content)["class"] == TEXT


def test_sheets_and_archives_have_classes_too(client: TestClient, decode: Decode) -> None:
    path = "/generate?n=4&seed=7&class=boot,t-shirt&columns=4"
    sheet = client.post(path, headers={"Accept": PNG})
    wanted = expected(latents(range(7, 11)), rows("boot", "t-shirt", "boot", "t-shirt"))
    np.testing.assert_array_equal(tiles(decode(sheet.content)), wanted)
    assert "X-Class" not in sheet.headers
    assert info(sheet.content) == {"model": "shoes/1", "seed": "7", "class": "boot,t-shirt"}
    response = client.post(path, headers={"Accept": ZIP})
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert [info(file)["class"] for file in files.values()] == ["boot", "t-shirt"] * 2
    same = client.post("/generate?n=4&seed=7&class=boot", headers={"Accept": PNG})
    assert same.headers["X-Class"] == info(same.content)["class"] == "boot"


@pytest.mark.parametrize("path", ["/generate", "/grid"])
def test_an_archive_has_every_image_of_a_seed_with_several_classes(
    client: TestClient, path: str
) -> None:
    body = {"seeds": [7, 7, 8], "class": "boot,0", "format": "zip"}
    with zipfile.ZipFile(io.BytesIO(client.post(path, json=body).content)) as archive:
        found = {name: info(archive.read(name)) for name in archive.namelist()}
    assert [*found] == ["000.png", "001.png", "002.png"]
    shown = [(one["seed"], one["class"]) for one in found.values()]
    assert shown == [("7", "boot"), ("7", "0"), ("8", "boot")]


def test_latents_have_the_most_frequent_class_unless_one_is_named(
    client: TestClient, decode: Decode
) -> None:
    z = np.float32([[0.5] * WIDTH, [-1] * WIDTH])
    for body, names in (
        ({}, ["boot", "boot"]),
        ({"class": "sneaker,t-shirt"}, ["sneaker", "t-shirt"]),
    ):
        images = generate(client, "", {"latents": z.tolist(), **body})
        assert [one["class"] for one in images] == names
        np.testing.assert_array_equal(pixels(images, decode), expected(z, rows(*names)))


def test_an_image_has_an_entity_tag_for_each_class(client: TestClient) -> None:
    path = "/images/shoes/1/42.png"
    queries = ["", "?class=boot", "?class=sneaker", f"?class={TEXT}", "?class=boot&scale=2"]
    tags = {client.get(path + query).headers["ETag"] for query in queries}
    assert len(tags) == len(queries)
    for query in queries:
        first = client.get(path + query)
        cached = client.get(path + query)
        assert cached.headers["Server-Timing"] == "cache"
        assert (cached.content, cached.headers["X-Class"]) == (
            first.content,
            first.headers["X-Class"],
        )
        current = client.get(path + query, headers={"If-None-Match": first.headers["ETag"]})
        assert (current.status_code, current.headers["X-Class"]) == (304, first.headers["X-Class"])
        head = client.head(path + query)
        assert head.headers["X-Class"] == first.headers["X-Class"]


def test_equal_classes_share_an_entity_tag(client: TestClient) -> None:
    path = "/images/shoes/1/42.webp"
    for queries in (
        ["class=sneaker", "class=1", "class=SNEAKER", "class=sneaker:3", "class=sneaker+boot:0"],
        ["class=boot:3+sneaker:7", "class=sneaker:0.7%2Bboot:0.3", "class=1:70+boot:30"],
    ):
        assert len({client.get(f"{path}?{query}").headers["ETag"] for query in queries}) == 1


def frames(client: TestClient, query: str) -> list[dict[str, Any]]:
    response = client.get(f"/interpolate?{query}&format=json")
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["frames"]
    lines = client.get(f"/interpolate?{query}&format=ndjson").text.splitlines()
    assert [json.loads(line) for line in lines] == found
    return found


@pytest.mark.parametrize(
    ("query", "ends"),
    [
        ("from=3&to=17&from_class=boot&to_class=sneaker", ["boot", "sneaker"]),
        ("from=3&to=17&class=boot,sneaker", ["boot", "sneaker"]),
        ("seeds=3,17&class=0", ["0", "0"]),
        ("seeds=3,17,99&class=boot,sneaker,0", ["boot", "sneaker", "0"]),
        ("seeds=3,17,99&class=boot,sneaker", ["boot", "sneaker", "boot"]),
        ("from=3&to=3&to_class=0", [None, "0"]),
        ("from=3&to=17&from_class=0", ["0", None]),
        ("seeds=3,17,99", [None, None, None]),
    ],
)
def test_latents_follow_an_arc_and_classes_a_line(
    client: TestClient, decode: Decode, query: str, ends: list[str | None]
) -> None:
    seeds = [3, 17, 99][: len(ends)] if "to=3" not in query else [3, 3]
    stops = SAMPLER.from_seeds(seeds)
    for k, name in enumerate(ends):
        if name is not None:
            stops[k] = rows(name)
    z = interpolation.path(latents(seeds), 5)
    c = interpolation.path(stops, 5, "lerp")
    found = frames(client, f"{query}&steps=5")
    np.testing.assert_array_equal(pixels(found, decode), expected(z, c))
    assert [one["class"] for one in found] == [SAMPLER.value(row) for row in c]


@pytest.mark.parametrize("start", ["sneaker", "1", 1, {"sneaker": 5}, {"1": 1}])
def test_the_class_of_an_end_in_a_body_is_written_as_any_class(
    client: TestClient, start: object
) -> None:
    query = "/interpolate?from=3&to=17&steps=3&format=json"
    expected_body = client.get(f"{query}&from_class=sneaker&to_class=boot:0.3%2B0:0.7").json()
    body = {"from_class": start, "to_class": {"boot": 0.3, "0": 0.7}}
    assert client.post(query, json=body).json() == expected_body
    for wrong, reason in (
        ("sneaker,boot", "it is more than one class"),
        ({"sneaker": 1, "SNEAKER": 1}, "a mixture names every class once"),
        ([1], "it is none of these"),
    ):
        (error,) = refused(client, query, {"from_class": wrong})
        assert (error["parameter"], error["in"]) == ("from_class", "body")
        allowed = "text like sneaker, of the form name, index or name:weight+name:weight, or an int"
        assert error["allowed"].startswith(allowed)
        assert error["allowed"].endswith(f"; {reason}")
    (error,) = refused(client, query, {"from_class": {"Boot": 0.5, "0": 1}, "class": "boot"})
    assert (error["value"], error["allowed"]) == ("boot:0.5+0", "left out where class is given")


def test_a_strip_names_its_class_only_if_it_has_one(client: TestClient) -> None:
    one = client.get("/interpolate?from=3&to=17&class=boot")
    assert one.headers["X-Class"] == info(one.content)["class"] == "boot"
    two = client.get("/interpolate?from=3&to=17&from_class=boot&to_class=0")
    assert "X-Class" not in two.headers
    assert info(two.content)["class"] == "boot,0"  # what the request named


def test_a_grid_has_a_row_for_each_class(client: TestClient, decode: Decode) -> None:
    for query, names in (("", NAMES), ("&class=0,sneaker", ["0", "sneaker"])):
        response = client.get(f"/grid?rows=classes&cols=3&seed=7{query}")
        found = tiles(decode(response.content))
        turns = [name for name in names for _ in range(3)]
        z = np.tile(latents([7, 8, 9]), (len(names), 1))
        np.testing.assert_array_equal(found, expected(z, rows(*turns)))
        assert response.headers["X-Seed"] == "7"
        assert "seed" not in info(response.content)


@pytest.mark.parametrize("classes", [None, "0,boot:0.5+sneaker:0.5"])
def test_an_image_in_a_row_of_a_class_has_a_url(client: TestClient, classes: str | None) -> None:
    body = {"rows": "classes", "seeds": [7, 3], "format": "json", "truncation": 0.5}
    body |= {} if classes is None else {"class": classes}
    images = client.post("/grid", json=body).json()["images"]
    assert len(images) == 2 * (4 if classes is None else 2)
    assert [one["seed"] for one in images] == [7, 3] * (len(images) // 2)
    located = client.post("/grid", json=body | {"format": "urls"}).json()["images"]
    assert [one["url"] for one in located] == [one["url"] for one in images]
    for one in images:
        assert client.get(one["url"]).content == base64.b64decode(one["png"])
    archive = client.post("/grid", json=body | {"format": "zip"}).content
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        files = [file.read(name) for name in file.namelist()]
    assert files == [base64.b64decode(one["png"]) for one in images]


def test_a_latent_in_a_row_of_a_class_has_no_url(client: TestClient) -> None:
    body = {"rows": "classes", "points": [7, [0.5] * WIDTH], "format": "json"}
    images = client.post("/grid", json=body).json()["images"]
    assert ["url" in one for one in images] == ["latent" not in one for one in images]
    assert ["url" in one for one in images] == [True, False] * 4


def test_a_grid_of_seeds_and_a_plane_have_classes(client: TestClient, decode: Decode) -> None:
    found = tiles(decode(client.get("/grid?rows=2&cols=2&seed=7&class=boot,0,1").content))
    wanted = expected(latents(range(7, 11)), rows("boot", "0", "sneaker", "boot"))
    np.testing.assert_array_equal(found, wanted)
    corners = "corners=1,2,3,4&rows=3&cols=4"
    for query, stops in (
        ("", SAMPLER.from_seeds([1, 2, 3, 4])),
        ("&class=boot,0", rows("boot", "0", "boot", "0")),
    ):
        found = tiles(decode(client.get(f"/grid?{corners}{query}").content))
        z = interpolation.plane(latents([1, 2, 3, 4]), 3, 4)
        c = interpolation.plane(stops, 3, 4, "lerp")
        np.testing.assert_array_equal(found, expected(z, c))


def test_neighbours_have_the_class_of_their_centre(client: TestClient, decode: Decode) -> None:
    layout = arithmetic.Neighbourhood(42, 1, 3, 3)
    z = layout.latents_around(latents([42])[0])
    for query, c in (
        ("", SAMPLER.from_seeds([42] * 9)),
        ("&class=0", rows(*["0"] * 9)),
        ("&class=boot,0,1", rows(*["boot", "0", "sneaker"] * 3)),
    ):
        path = f"/variations?seed=42&radius=1{query}"
        np.testing.assert_array_equal(tiles(decode(client.get(path).content)), expected(z, c))
        body = client.get(path, headers={"Accept": JSON}).json()
        assert [one["class"] for one in body["images"]] == [SAMPLER.value(row) for row in c]


def test_a_sum_mixes_classes_unless_one_is_named(client: TestClient, decode: Decode) -> None:
    plus, minus = [[1, 2], [3]], [[4]]
    z = arithmetic.sum_of_means(map(latents, plus), map(latents, minus))[None]
    own = [SAMPLER.from_seeds(seeds) for seeds in (*plus, *minus)]
    summed = SAMPLER.sum_of_means(own[:2], own[2:])
    for named, c in (
        ({}, summed),
        ({"class": "0"}, rows("0")),
        ({"class": MIXTURE}, np.float32([[0.3, 0.7, 0, 0]])),
    ):
        body = {"plus": plus, "minus": minus, "neighbours": 1, **named}
        response = client.post("/arithmetic", json=body, headers={"Accept": JSON})
        (image,) = response.json()["images"]
        np.testing.assert_array_equal(pixels([image], decode), expected(z, c))
        assert image["class"] == SAMPLER.value(c[0])
        assert response.headers["X-Class"] == SAMPLER.text(c[0])


def test_an_edit_moves_the_latent_and_keeps_the_class(client: TestClient, decode: Decode) -> None:
    images = generate(client, "n=3&seed=7&class=0", {"edit": {"hat": 2}})
    moved = latents([7, 8, 9]) + 2 * np.float32(conditional.EDIT)
    np.testing.assert_array_equal(pixels(images, decode), expected(moved, rows("0", "0", "0")))
    assert images[0]["url"] == "http://testserver/images/shoes/1/7.png?class=0&edit=hat:2"
    assert client.get(images[0]["url"]).content == base64.b64decode(images[0]["png"])


def test_models_list_classes_with_an_example(client: TestClient) -> None:
    (version,) = client.get("/models/shoes").json()["versions"]
    found = version["classes"]
    assert [one["name"] for one in found] == NAMES
    assert [one["index"] for one in found] == [0, 1, 2, 3]
    assert [one["share"] for one in found] == list(CLASSES.values())
    assert version["condition_attributes"] == []
    for one in found:
        response = client.get(one["example"])
        assert response.headers["X-Class"] == one["name"]
    (plain,) = client.get("/models/grey").json()["versions"]
    assert (plain["classes"], plain["condition_attributes"]) == ([], [])


def test_an_unconditional_model_tells_no_class(client: TestClient) -> None:
    response = client.post("/generate?model=grey&n=2&seed=1")
    fields = ["seed", "url", "width", "height", "png"]
    assert [list(one) for one in response.json()["images"]] == [fields] * 2
    assert "X-Class" not in response.headers
    assert "X-Class" not in client.get("/images/grey/1/1.png").headers
    assert "class" not in info(client.get("/images/grey/1/1.png").content)


ALLOWED = "one of boot, sneaker, t-shirt, 0, or an index from 0 to 3"
NONE = "left out: grey/1 has no classes"
OTHERS = "left out: people/1 has no classes; it has the attributes glasses, blond, brown, smile"


@pytest.mark.parametrize(
    "path",
    [
        "/generate?",
        "/images/{model}/1/1.png?",
        "/interpolate?from=1&to=2&",
        "/grid?",
        "/grid?corners=1,2,3,4&",
        "/variations?seed=1&",
    ],
)
def test_a_class_that_a_model_does_not_have_is_refused_by_every_route(
    client: TestClient, path: str
) -> None:
    for model, allowed in (("shoes", ALLOWED), ("grey", NONE), ("people", OTHERS)):
        query = path.format(model=model) + ("" if "{model}" in path else f"model={model}&")
        (error,) = refused(client, f"{query}class=bag")
        expected_error = {"parameter": "class", "in": "query", "value": "bag", "allowed": allowed}
        assert error == expected_error
    for post, body in (
        ("/generate?model={}", {}),
        ("/arithmetic", {"model": "{}", "plus": [[1]]}),
    ):
        for model, allowed in (("shoes", ALLOWED), ("grey", NONE), ("people", OTHERS)):
            own = {name: value if value != "{}" else model for name, value in body.items()}
            (error,) = refused(client, post.format(model), {**own, "class": {"bag": 1}})
            assert (error["in"], error["value"], error["allowed"]) == ("body", "bag", allowed)


@pytest.mark.parametrize("name", ["from_class", "to_class"])
def test_the_class_of_an_end_is_checked(client: TestClient, name: str) -> None:
    for model, allowed in (("shoes", ALLOWED), ("grey", NONE), ("people", OTHERS)):
        (error,) = refused(client, f"/interpolate?from=1&to=2&model={model}&{name}=bag")
        assert error == {"parameter": name, "in": "query", "value": "bag", "allowed": allowed}
    (error,) = refused(client, f"/interpolate?from=1&to=2&class=boot&{name}=0")
    assert (error["parameter"], error["allowed"]) == (name, "left out where class is given")
    (error,) = refused(client, f"/interpolate?seeds=1,2&{name}=0")
    assert (error["parameter"], error["allowed"]) == (name, "left out where seeds is given")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"sneaker": -0.5, "boot": 1}, "the weight of 'sneaker' is -0.5, not 0 to 1000"),
        ({"sneaker": float("nan")}, "the weight of 'sneaker' is nan, not 0 to 1000"),
        ({"sneaker": float("inf")}, "the weight of 'sneaker' is inf, not 0 to 1000"),
        ({"sneaker": 1001}, "the weight of 'sneaker' is 1001, not 0 to 1000"),
        ({"sneaker": 10**400}, "not 0 to 1000"),
        ({"sneaker": "1"}, "the weight of 'sneaker' is not a number"),
        ({"sneaker": True}, "the weight of 'sneaker' is not a number"),
        ({"sneaker": None}, "the weight of 'sneaker' is not a number"),
        ({"sneaker": 1, "SNEAKER": 3}, "a mixture names every class once"),
        ({"sneaker": 0, "boot": 0.0}, "at least one weight of a mixture is above 0"),
        ({}, "it is none of these"),
        ({f"c{k}": 1 for k in range(17)}, "it is none of these"),
        ([], "it is none of these"),
        (["sneaker"], "it is none of these"),
        (True, "it is none of these"),
        (-1, "it is none of these"),
        (0.5, "it is none of these"),
        ("", "'' is not a class"),
        ("sneaker,", "'' is not a class"),
        ("sneaker:-1", "'sneaker:-1' is not a class"),
        (",".join(["boot"] * 257), "at most 256 classes"),
    ],
)
def test_what_is_no_class_in_a_body_is_refused(
    client: TestClient, sent: object, reason: str
) -> None:
    for path, body in (("/generate", {}), ("/arithmetic", {"plus": [[1]]})):
        (error,) = refused(client, path, {**body, "class": sent})
        assert (error["parameter"], error["in"]) == ("class", "body")
        assert error["allowed"].startswith("text like sneaker, of the form names, indices or name:")
        assert ", or an integer from 0 to 1023, or a JSON object of 1 to 16" in error["allowed"]
        assert reason in error["allowed"]


@pytest.mark.parametrize(
    "text", ["", "boot,", ",", "boot:-1", "boot:nan", "boot:1e1", "boot:0", "boot+boot", "ö", "a\n"]
)
def test_what_is_no_class_in_a_query_is_refused(client: TestClient, text: str) -> None:
    query = str(client.build_request("GET", "/", params={"class": text}).url.query, "ascii")
    for path in ("/generate", "/images/shoes/1/1.png", "/grid"):
        (error,) = refused(client, f"{path}?{query}")
        assert (error["parameter"], error["in"], error["value"]) == ("class", "query", text)
        assert (
            "text like sneaker, of the form name, index or name:weight+name:weight"
            in (error["allowed"])
        )


def test_more_classes_than_images_are_refused(client: TestClient) -> None:
    for path in (
        "/generate?n=2&class=boot,0,1",
        "/interpolate?from=1&to=2&class=boot,0,1",
        "/variations?seed=1&rows=1&cols=2&class=boot,0,1",
    ):
        (error,) = refused(client, path)
        assert (error["parameter"], error["value"]) == ("class", "boot,0,1")
        assert error["allowed"] == "at most 2 classes, as there is one for each seed or image"
    (error,) = refused(client, "/generate?n=1", {"class": "Boot,0:0.5+boot"})
    assert (error["value"], error["in"]) == ("boot,0:0.5+boot", "body")
    assert error["allowed"] == "one class, as there is one for each seed or image"
    (error,) = refused(client, "/images/shoes/1/1.png?class=boot,0")
    assert error["value"] == "boot,0"


def test_classes_are_in_the_query_or_in_the_body(client: TestClient) -> None:
    (error,) = refused(client, "/generate?class=boot,0", {"class": "boot"})
    assert error == {
        "parameter": "class",
        "in": "query",
        "value": "boot,0",
        "allowed": "left out where the body has it: in the query or in the body, not in both",
    }


def test_rows_of_classes_that_cannot_be_drawn_are_refused(client: TestClient) -> None:
    (error,) = refused(client, "/grid?rows=classes&corners=1,2,3,4")
    assert (error["parameter"], error["allowed"]) == (
        "corners",
        "left out where rows=classes is given",
    )
    for query, allowed in (
        ("rows=classes&model=grey", "an integer from 1 to 256, as grey/1 has no classes"),
        ("rows=attributes", "an integer from 1 to 256, or classes, as shoes/1 has no attributes"),
    ):
        (error,) = refused(client, f"/grid?{query}")
        assert (error["parameter"], error["allowed"]) == ("rows", f"{allowed} to choose")
    problem = client.get("/grid?rows=classes&cols=65").json()
    assert problem["detail"].startswith("rows=classes, cols=65 asks for 260 images but must ask")
    for wrong in ("0", "257", "class", "1.5", ""):
        (error,) = refused(client, f"/grid?rows={wrong}")
        assert error["allowed"] == "an integer from 1 to 256, or one of classes, attributes"


@pytest.mark.parametrize("accept", [JSON, ZIP])
def test_the_classes_of_many_images_are_named_beside_the_event_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    places: list[str] = []

    def recorded(method: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                places.append("beside the event loop")
            else:
                places.append("in the event loop")
            return method(*arguments)

        return call

    for name in ("caption", "condition"):
        monkeypatch.setattr(Drawn, name, recorded(getattr(Drawn, name)))
    path = "/generate?n=64&class=boot:0.7%2Bsneaker:0.3,t-shirt"
    client.post(path, headers={"Accept": accept}).raise_for_status()
    assert len(places) >= 64
    assert set(places) == {"beside the event loop"}
