"""What is drawn between, around and from several seeds, over the shipped model."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.latent.sampling import SEEDS

Pixels = NDArray[np.uint8]
Decode = Callable[[bytes], Pixels]

PNG, ZIP, JSON = "image/png", "application/zip", "application/json"
SUM = {"plus": [[3, 4, 5], [6, 7, 8]], "minus": [[0, 1, 2]]}


@pytest.fixture
def image(client: TestClient, decode: Decode) -> Callable[[int], Pixels]:
    """The image of one seed, from its own URL."""
    return lambda seed: decode(client.get(f"/images/fashion-mnist/2/{seed}.png").content)


def tiles(sheet: Pixels) -> Pixels:
    """A sheet of 28×28 images, row by row: ``(rows, cols, 28, 28)``."""
    rows, cols = sheet.shape[0] // 28, sheet.shape[1] // 28
    return sheet.reshape(rows, 28, cols, 28).swapaxes(1, 2)


def accepting(media_type: str) -> dict[str, str]:
    return {"Accept": media_type}


def pngs(images: Sequence[dict[str, Any]]) -> list[bytes]:
    return [base64.b64decode(image["png"]) for image in images]


# GET /interpolate?seeds=…


@pytest.mark.parametrize("method", ["slerp", "lerp"])
def test_a_path_passes_through_the_image_of_every_seed(
    client: TestClient, decode: Decode, image: Callable[[int], Pixels], method: str
) -> None:
    answer = client.get(f"/interpolate?seeds=3,17,99&steps=5&method={method}")
    assert answer.headers["X-Seed"] == "3"
    (frames,) = tiles(decode(answer.content))
    assert len(frames) == 9
    for place, seed in ((0, 3), (4, 17), (8, 99)):
        np.testing.assert_array_equal(frames[place], image(seed))
    legs = [f"/interpolate?from=3&to=17&steps=5&method={method}"]
    legs.append(f"/interpolate?from=17&to=99&steps=5&method={method}")
    first, second = (tiles(decode(client.get(leg).content))[0] for leg in legs)
    np.testing.assert_array_equal(frames, np.concatenate([first, second[1:]]))


def test_a_loop_repeats_without_a_hitch(client: TestClient, decode: Decode) -> None:
    path = "/interpolate?seeds=3,17,99&steps=5"
    (open_path,) = tiles(decode(client.get(path).content))
    (loop,) = tiles(decode(client.get(f"{path}&loop=true").content))
    (back,) = tiles(decode(client.get("/interpolate?from=99&to=3&steps=5").content))
    np.testing.assert_array_equal(loop[:9], open_path)
    np.testing.assert_array_equal(loop[9:], back[1:-1])
    assert len({frame.tobytes() for frame in loop}) == len(loop) == 12


def test_two_ends_are_a_path_of_two_seeds_and_may_loop(client: TestClient) -> None:
    for rest in ("", "&loop=true", "&method=lerp"):
        ends = client.get(f"/interpolate?from=3&to=17{rest}")
        assert ends.content == client.get(f"/interpolate?seeds=3,17{rest}").content
        assert ends.headers["X-Seed"] == "3"


@pytest.mark.parametrize(
    ("rest", "positions"),
    [("", [0, 0.25, 0.5, 0.75, 1]), ("&loop=true", [k / 6 for k in range(6)])],
)
def test_a_path_in_json_tells_where_its_frames_are(
    client: TestClient, rest: str, positions: list[float]
) -> None:
    path = f"/interpolate?seeds=3,17,99&steps=3{rest}"
    body = client.get(path, headers=accepting(JSON)).json()
    assert [frame["position"] for frame in body["frames"]] == positions
    assert (body["seeds"], body["loop"]) == ([3, 17, 99], bool(rest))


@pytest.mark.parametrize(
    ("query", "frames"),
    [
        ("seeds=1,2&steps=256", 256),
        ("seeds=1,2,3&steps=128", 255),
        ("seeds=1,2&steps=129&loop=true", 256),
        (f"seeds={','.join(map(str, range(16)))}&steps=18", 256),
        (f"seeds={','.join(map(str, range(16)))}&steps=2", 16),
        ("seeds=1,1,1&steps=2", 3),
    ],
)
def test_so_many_frames_are_drawn(client: TestClient, query: str, frames: int) -> None:
    body = client.get(f"/interpolate?{query}", headers=accepting(JSON)).json()
    assert len(body["frames"]) == frames


def test_a_list_may_be_sent_value_by_value_and_its_commas_escaped(client: TestClient) -> None:
    expected = client.get("/interpolate?seeds=3,17,99").content
    for query in ("seeds=3&seeds=17&seeds=99", "seeds=3%2C17%2C99", "seeds=3,17&seeds=99"):
        assert client.get(f"/interpolate?{query}").content == expected


# GET /grid?corners=…


@pytest.mark.parametrize(("rows", "cols"), [(2, 2), (3, 5), (8, 8), (2, 128)])
def test_the_seeds_of_a_plane_are_in_its_corners(
    client: TestClient,
    decode: Decode,
    image: Callable[[int], Pixels],
    rows: int,
    cols: int,
) -> None:
    path = f"/grid?corners=1,2,3,{SEEDS - 1}&rows={rows}&cols={cols}"
    answer = client.get(path)
    assert answer.headers["X-Seed"] == "1"
    sheet = tiles(decode(answer.content))
    assert sheet.shape[:2] == (rows, cols)
    found = (sheet[0, 0], sheet[0, -1], sheet[-1, 0], sheet[-1, -1])
    for corner, seed in zip(found, (1, 2, 3, SEEDS - 1), strict=True):
        np.testing.assert_array_equal(corner, image(seed))
    assert client.get(path).content == answer.content


def test_the_edges_of_a_plane_are_great_arcs_where_latents_are_normal(
    client: TestClient, decode: Decode
) -> None:
    sheet = tiles(decode(client.get("/grid?corners=1,2,3,4&rows=4&cols=6").content))
    edges = {(1, 2): sheet[0], (3, 4): sheet[-1], (1, 3): sheet[:, 0], (2, 4): sheet[:, -1]}
    for (start, end), edge in edges.items():
        path = f"/interpolate?from={start}&to={end}&steps={len(edge)}"
        (arc,) = tiles(decode(client.get(path).content))
        assert np.abs(edge.astype(int) - arc).max() <= 1


# GET /variations


@pytest.mark.parametrize(
    ("rows", "cols", "place"),
    [(3, 3, (1, 1)), (1, 1, (0, 0)), (5, 3, (2, 1)), (2, 2, (0, 0)), (4, 1, (1, 0))],
)
def test_a_seeds_own_image_is_amid_its_neighbours(
    client: TestClient,
    decode: Decode,
    image: Callable[[int], Pixels],
    rows: int,
    cols: int,
    place: tuple[int, int],
) -> None:
    path = f"/variations?seed=42&rows={rows}&cols={cols}&radius=1"
    answer = client.get(path)
    assert (answer.headers["X-Seed"], answer.headers["X-Model"]) == ("42", "fashion-mnist/2")
    assert answer.headers["Content-Type"] == PNG
    sheet = tiles(decode(answer.content))
    assert sheet.shape[:2] == (rows, cols)
    np.testing.assert_array_equal(sheet[place], image(42))
    assert len({tile.tobytes() for row in sheet for tile in row}) == rows * cols
    assert client.get(path).content == answer.content


def test_by_default_nine_with_a_quarter(client: TestClient) -> None:
    expected = client.get("/variations?seed=42&rows=3&cols=3&radius=0.25").content
    assert client.get("/variations?seed=42").content == expected


def test_the_radius_says_how_far_neighbours_differ(
    client: TestClient, decode: Decode, image: Callable[[int], Pixels]
) -> None:
    apart = []
    for radius in (0, 0.25, 2):
        answer = client.get(f"/variations?seed=42&radius={radius}")
        difference = np.abs(tiles(decode(answer.content)).astype(int) - image(42))
        apart.append(difference.mean())
    assert apart[0] == 0 < apart[1] < apart[2]


# Both, in other forms than PNG.


@pytest.fixture(params=["variations", "arithmetic"])
def ask(request: pytest.FixtureRequest, client: TestClient) -> Callable[[str], httpx.Response]:
    """Either endpoint, for nine images in a form."""
    if request.param == "variations":
        return lambda form: client.get("/variations?seed=3", headers=accepting(form))
    return lambda form: client.post("/arithmetic", json=SUM, headers=accepting(form))


def test_json_has_the_images_of_the_sheet_and_tells_of_its_layout(
    ask: Callable[[str], httpx.Response], decode: Decode
) -> None:
    sheet = tiles(decode(ask(PNG).content)).reshape(9, 28, 28)
    answer = ask(JSON)
    assert answer.headers["X-Seed"] == "3"
    assert "Accept" in answer.headers["Vary"].split(", ")
    body = answer.json()
    np.testing.assert_array_equal([decode(png) for png in pngs(body.pop("images"))], sheet)
    assert body == {
        "model": "fashion-mnist",
        "version": 2,
        "seed": 3,
        "radius": 0.25,
        "rows": 3,
        "cols": 3,
        "middle": 4,
    }


def test_zip_has_a_file_for_every_image_in_order(ask: Callable[[str], httpx.Response]) -> None:
    answer = ask(ZIP)
    assert 'filename="fashion-mnist-2-3.zip"' in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"00{k}.png" for k in range(9)]
        files = [archive.read(name) for name in archive.namelist()]
    assert files == pngs(ask(JSON).json()["images"])
    assert ask(ZIP).content == answer.content


# POST /arithmetic


def middle(client: TestClient, body: dict[str, Any]) -> bytes:
    answer = client.post("/arithmetic", json={**body, "neighbours": 1})
    assert answer.status_code == 200, answer.text
    return answer.content


def test_the_sum_of_one_seed_is_its_image_and_its_variations(
    client: TestClient, decode: Decode, image: Callable[[int], Pixels]
) -> None:
    sums = [{"plus": [[42]]}, {"plus": [[42, 42, 42]]}, {"plus": [[42], [7]], "minus": [[7]]}]
    for body in sums:
        np.testing.assert_array_equal(decode(middle(client, body)), image(42))
    variations = client.get("/variations?seed=42").content
    assert client.post("/arithmetic", json={"plus": [[42]]}).content == variations


def test_the_result_is_amid_its_neighbours_and_always_the_same(
    client: TestClient, decode: Decode
) -> None:
    answer = client.post("/arithmetic", json=SUM)
    assert (answer.headers["X-Seed"], answer.headers["X-Model"]) == ("3", "fashion-mnist/2")
    assert answer.headers["Content-Type"] == PNG
    sheet = tiles(decode(answer.content))
    assert sheet.shape[:2] == (3, 3)
    np.testing.assert_array_equal(sheet[1, 1], decode(middle(client, SUM)))
    assert len({tile.tobytes() for row in sheet for tile in row}) == 9
    named = {"neighbours": 9, "radius": 0.25, "model": "fashion-mnist", "version": 2}
    assert client.post("/arithmetic", json={**SUM, **named}).content == answer.content


def test_the_order_of_groups_means_nothing_and_their_sign_does(client: TestClient) -> None:
    turned = {"plus": SUM["plus"][::-1], "minus": SUM["minus"]}
    swapped = {"plus": [SUM["minus"][0], SUM["plus"][1]], "minus": [SUM["plus"][0]]}
    assert middle(client, turned) == middle(client, SUM) != middle(client, swapped)


@pytest.mark.parametrize("side", [1, 3, 5, 7, 9, 11, 13, 15])
def test_the_sheet_is_square(client: TestClient, decode: Decode, side: int) -> None:
    answer = client.post("/arithmetic", json={**SUM, "neighbours": side**2})
    assert tiles(decode(answer.content)).shape[:2] == (side, side)


def test_the_largest_body_is_taken(client: TestClient) -> None:
    group = list(range(SEEDS - 16, SEEDS))
    body = {"plus": [group] * 8, "minus": [group] * 8, "neighbours": 225, "radius": 2}
    assert client.post("/arithmetic", json=body).status_code == 200
    assert client.post("/arithmetic", json={"plus": [[1]], "minus": []}).status_code == 200


def test_an_integer_may_be_written_with_a_point(client: TestClient) -> None:
    exact = {"plus": [[3, 4], [5]], "version": 2, "neighbours": 9, "scale": 2}
    pointed = {"plus": [[3.0, 4e0], [5.0]], "version": 2.0, "neighbours": 9.0, "scale": 20e-1}
    answers = [client.post("/arithmetic", json=body) for body in (exact, pointed)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content


SEED = f"an integer from 0 to {SEEDS - 1}"
GROUP = f"a list of 1 to 16 values, each {SEED}"
PLUS, MINUS = (f"a list of {few} to 8 values, each {GROUP}" for few in (1, 0))
SQUARES = "one of 1, 9, 25, 49, 81, 121, 169, 225"
BAD = [
    ({}, "plus", None, PLUS),
    ({"plus": []}, "plus", [], PLUS),
    ({"plus": {}}, "plus", {}, PLUS),
    ({"plus": [[1]] * 9}, "plus", [[1]] * 9, PLUS),
    ({"plus": [[]]}, "plus.0", [], GROUP),
    ({"plus": [[1], list(range(17))]}, "plus.1", list(range(17)), GROUP),
    ({"plus": [3]}, "plus.0", 3, GROUP),
    ({"plus": [[1, -1]]}, "plus.0.1", -1, SEED),
    ({"plus": [[SEEDS]]}, "plus.0.0", SEEDS, SEED),
    ({"plus": [["3"]]}, "plus.0.0", "3", SEED),
    ({"plus": [[True]]}, "plus.0.0", True, SEED),
    ({"plus": [[1.5]]}, "plus.0.0", 1.5, SEED),
    ({"plus": [[1]], "minus": [[1]] * 9}, "minus", [[1]] * 9, MINUS),
    ({"plus": [[1]], "minus": [[1], [2, "x"]]}, "minus.1.1", "x", SEED),
    ({"plus": [[1]], "neighbours": 8}, "neighbours", 8, SQUARES),
    ({"plus": [[1]], "neighbours": 16}, "neighbours", 16, SQUARES),
    ({"plus": [[1]], "neighbours": 289}, "neighbours", 289, SQUARES),
    ({"plus": [[1]], "neighbours": True}, "neighbours", True, SQUARES),
    ({"plus": [[1]], "radius": 2.01}, "radius", 2.01, "a number from 0 to 2"),
    ({"plus": [[1]], "radius": "1"}, "radius", "1", "a number from 0 to 2"),
    ({"plus": [[1]], "radius": float("nan")}, "radius", "nan", "a number from 0 to 2"),
    ({"plus": [[1]], "radius": float("inf")}, "radius", "inf", "a number from 0 to 2"),
    ({"plus": [[1]], "version": 0}, "version", 0, "an integer from 1 to 2147483647"),
    ({"plus": [[1]], "model": "../x"}, "model", "../x", "text like ^[a-z0-9]"),
    ({"plus": [[1]], "model": "\ud800"}, "model", "'\\ud800'", "text like ^[a-z0-9]"),
    ({"plus": [[1]], "times": 2}, "times", 2, "left out: the parameters here are model, version"),
    ([SUM], "body", [SUM], "a JSON object, sent as application/json"),
]


@pytest.mark.parametrize(("body", "parameter", "value", "allowed"), BAD)
def test_a_bad_body_is_named_with_its_value_and_what_is_allowed(
    client: TestClient, body: object, parameter: str, value: object, allowed: str
) -> None:
    headers = {"Content-Type": JSON}
    answer = client.post("/arithmetic", content=json.dumps(body), headers=headers)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    (offence,) = problem["errors"]
    assert (offence["parameter"], offence["in"]) == (parameter, "body")
    assert offence["value"] == value
    assert offence["allowed"].startswith(allowed)
    assert f"{parameter} is " in problem["detail"]
    assert allowed in problem["detail"]
    assert problem["instance"] == "/arithmetic"


def test_every_wrong_seed_is_named_and_no_endless_list_of_them(client: TestClient) -> None:
    problem = client.post("/arithmetic", json={"plus": [[-1, 1, -2]]}).json()
    assert [error["parameter"] for error in problem["errors"]] == ["plus.0.0", "plus.0.2"]
    unknown = {f"a{k}": k for k in range(1000)}
    assert len(client.post("/arithmetic", json=unknown).json()["errors"]) == 16


@pytest.mark.parametrize(
    ("content", "form", "value"),
    [
        (b"", JSON, None),
        (b"{", JSON, "{"),
        (b'{"plus": [[1],]}', JSON, '{"plus": [[1],]}'),
        (b'{"plus": [[1]]}', "application/x-www-form-urlencoded", '{"plus": [[1]]}'),
        (b"\x89PNG", PNG, "�PNG"),
    ],
    ids=["nothing", "half", "a comma too many", "curl without a header", "an image"],
)
def test_what_is_no_json_is_told_what_is_expected(
    client: TestClient, content: bytes, form: str, value: str | None
) -> None:
    answer = client.post("/arithmetic", content=content, headers={"Content-Type": form})
    assert answer.status_code == 422
    allowed = "a JSON object, sent as application/json"
    offence = {"parameter": "body", "in": "body", "value": value, "allowed": allowed}
    assert answer.json()["errors"] == [offence]


@pytest.mark.parametrize(
    "content",
    [b"\xff", b'{"plus": ' + b"[" * 60_000, b'{"plus": [[' + b"9" * 5000 + b"]]}"],
    ids=["no text", "too deep", "too long a number"],
)
@pytest.mark.parametrize("path", ["/arithmetic", "/generate"])
def test_what_cannot_be_read_at_all_is_a_problem_too(
    client: TestClient, path: str, content: bytes
) -> None:
    answer = client.post(path, content=content, headers={"Content-Type": JSON})
    assert answer.status_code == 422
    allowed = "a JSON object, sent as application/json"
    assert answer.json()["detail"] == f"body cannot be read but must be {allowed}"
    offence = {"parameter": "body", "in": "body", "value": None, "allowed": allowed}
    assert answer.json()["errors"] == [offence]


def test_a_body_longer_than_any_sum_is_refused(client: TestClient) -> None:
    headers = {"Content-Type": JSON}
    longest = json.dumps(SUM).encode().ljust(2**16)
    assert client.post("/arithmetic", content=longest, headers=headers).is_success
    answer = client.post("/arithmetic", content=longest + b" ", headers=headers)
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == "the body is longer than 65536 bytes"


@pytest.mark.parametrize("depth", [10, 300, 450])
def test_deep_lists_are_told_by_their_beginning(client: TestClient, depth: int) -> None:
    content = '{"plus": ' + "[" * depth + "]" * depth + "}"
    answer = client.post("/arithmetic", content=content, headers={"Content-Type": JSON})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "plus.0.0"
    assert len(answer.content) < 1000


def test_nothing_belongs_in_the_query_and_unknown_models_are_named(client: TestClient) -> None:
    (offence,) = client.post("/arithmetic?model=fashion-mnist", json=SUM).json()["errors"]
    assert (offence["parameter"], offence["in"]) == ("model", "query")
    assert offence["allowed"] == "sent in the body"
    for name, value, allowed in (
        ("model", "cats", "one of faces, fashion-mnist"),
        ("version", 99, "1"),
    ):
        answer = client.post("/arithmetic", json={**SUM, name: value})
        assert answer.status_code == 404
        (offence,) = answer.json()["errors"]
        assert (offence["parameter"], offence["in"], offence["value"]) == (name, "body", value)
        assert allowed in offence["allowed"]


def test_an_unacceptable_form_is_refused_before_anything_is_drawn(client: TestClient) -> None:
    answer = client.post("/arithmetic", json=SUM, headers=accepting("text/html"))
    assert answer.status_code == 406
    allowed = "one of image/png, application/json, application/zip"
    assert answer.json()["errors"][0]["allowed"] == allowed
