"""``GET /interpolate``: paths through several seeds, and the formats of the response."""

import base64
import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from tests.sheets import tiles

Pixels = NDArray[np.uint8]
Decode = Callable[[bytes], Pixels]

PATH = "/interpolate?seeds=3,17,99&steps=4"
FORMATS = {
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "apng": "image/apng",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "zip": "application/zip",
}
ANIMATED = ("gif", "webp", "apng")


@pytest.mark.parametrize("method", ["slerp", "lerp"])
def test_a_path_passes_through_the_image_of_every_seed(
    client: TestClient, decode: Decode, image: Callable[[int], Pixels], method: str
) -> None:
    response = client.get(f"/interpolate?seeds=3,17,99&steps=5&method={method}")
    assert response.headers["X-Seed"] == "3"
    (frames,) = tiles(decode(response.content))
    assert len(frames) == 9
    for place, seed in ((0, 3), (4, 17), (8, 99)):
        np.testing.assert_array_equal(frames[place], image(seed))
    segments = [f"/interpolate?from=3&to=17&steps=5&method={method}"]
    segments.append(f"/interpolate?from=17&to=99&steps=5&method={method}")
    first, second = (tiles(decode(client.get(segment).content))[0] for segment in segments)
    np.testing.assert_array_equal(frames, np.concatenate([first, second[1:]]))


def test_a_loop_closes_the_path_without_repeating_a_frame(
    client: TestClient, decode: Decode
) -> None:
    path = "/interpolate?seeds=3,17,99&steps=5"
    (open_path,) = tiles(decode(client.get(path).content))
    (loop,) = tiles(decode(client.get(f"{path}&loop=true").content))
    (back,) = tiles(decode(client.get("/interpolate?from=99&to=3&steps=5").content))
    np.testing.assert_array_equal(loop[:9], open_path)
    np.testing.assert_array_equal(loop[9:], back[1:-1])
    assert len({frame.tobytes() for frame in loop}) == len(loop) == 12


def test_from_and_to_are_a_path_of_two_seeds(client: TestClient) -> None:
    for rest in ("", "&loop=true", "&method=lerp"):
        ends = client.get(f"/interpolate?from=3&to=17{rest}")
        assert ends.content == client.get(f"/interpolate?seeds=3,17{rest}").content
        assert ends.headers["X-Seed"] == "3"


@pytest.mark.parametrize(
    ("rest", "positions"),
    [("", [0, 0.25, 0.5, 0.75, 1]), ("&loop=true", [k / 6 for k in range(6)])],
)
def test_json_has_the_positions_of_the_frames(
    client: TestClient, rest: str, positions: list[float]
) -> None:
    path = f"/interpolate?seeds=3,17,99&steps=3{rest}"
    body = client.get(path, headers={"Accept": FORMATS["json"]}).json()
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
def test_the_number_of_frames(client: TestClient, query: str, frames: int) -> None:
    body = client.get(f"/interpolate?{query}", headers={"Accept": FORMATS["json"]}).json()
    assert len(body["frames"]) == frames


def test_seeds_may_be_repeated_or_separated_by_commas(client: TestClient) -> None:
    expected = client.get("/interpolate?seeds=3,17,99").content
    for query in ("seeds=3&seeds=17&seeds=99", "seeds=3%2C17%2C99", "seeds=3,17&seeds=99"):
        assert client.get(f"/interpolate?{query}").content == expected


def frames(content: bytes) -> list[Pixels]:
    """Return the grey frames of an animation."""
    found = []
    with Image.open(io.BytesIO(content)) as image:
        for k in range(image.n_frames):
            image.seek(k)
            found.append(np.asarray(image.convert("L")))
    return found


@pytest.mark.parametrize(("name", "media_type"), FORMATS.items())
def test_the_format_is_chosen_by_parameter_or_by_accept(
    client: TestClient, name: str, media_type: str
) -> None:
    named = client.get(f"{PATH}&format={name}", headers={"Accept": "image/png;q=0.1, text/html"})
    accepted = client.get(PATH, headers={"Accept": media_type})
    assert named.headers["Content-Type"] == accepted.headers["Content-Type"] == media_type
    assert named.headers["X-Seed"] == "3"
    assert "Accept" in named.headers["Vary"].split(", ")
    assert named.content == accepted.content


def test_an_unknown_format_is_refused_and_the_formats_are_listed(client: TestClient) -> None:
    problem = client.get(f"{PATH}&format=avif").json()
    assert problem["detail"] == f"format is 'avif' but must be one of {', '.join(FORMATS)}, urls"


@pytest.mark.parametrize(("fps", "allowed"), [("0.5", "from 1 to 50"), ("51", "50"), ("nan", "50")])
def test_a_frame_rate_out_of_bounds_is_refused(client: TestClient, fps: str, allowed: str) -> None:
    response = client.get(f"{PATH}&format=gif&fps={fps}")
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert (error["parameter"], error["value"]) == ("fps", fps)
    assert allowed in error["allowed"]


@pytest.mark.parametrize("file_format", ANIMATED)
@pytest.mark.parametrize("loop", [True, False])
def test_an_animation_has_the_frames_of_the_strip(
    client: TestClient, decode: Decode, file_format: str, loop: bool
) -> None:
    path = f"{PATH}&loop={loop}"
    strip = decode(client.get(path).content)
    content = client.get(f"{path}&format={file_format}&fps=20").content
    np.testing.assert_array_equal(np.concatenate(frames(content), axis=1), strip)
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert image.n_frames == (9 if loop else 7)
        assert image.info["duration"] == 50
        assert image.info.get("loop") == (0 if loop else None if file_format == "gif" else 1)


def test_a_zip_has_a_file_for_every_frame(client: TestClient, decode: Decode) -> None:
    response = client.get(f"{PATH}&format=zip")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        names = archive.namelist()
        assert names == [f"{k:03}.png" for k in range(7)]
        files = [decode(archive.read(name)) for name in names]
    np.testing.assert_array_equal(np.concatenate(files, axis=1), decode(client.get(PATH).content))


def test_easing_moves_frames_and_their_positions(client: TestClient, decode: Decode) -> None:
    def positioned(easing: str) -> dict[float, bytes]:
        path = f"/interpolate?from=3&to=17&steps=3&easing={easing}&format=json"
        body = client.get(path).json()
        assert body["easing"] == easing
        return {frame["position"]: base64.b64decode(frame["png"]) for frame in body["frames"]}

    even, late = positioned("linear"), positioned("ease-in")
    assert [*even] == [0, 0.5, 1]
    assert [*late] == pytest.approx([0, 1 - np.sqrt(0.5), 1])
    (_, a, _), (_, b, _) = even.values(), late.values()
    assert (decode(a) != decode(b)).any()
    assert even[0] == late[0]
    assert even[1] == late[1]


def test_a_response_of_too_many_pixels_is_refused(client: TestClient) -> None:
    path = "/interpolate?from=1&to=2&model=faces&format=webp&scale=8"
    assert client.get(f"{path}&steps=64").status_code == 200
    response = client.get(f"{path}&steps=65")
    assert response.status_code == 422
    assert {error["parameter"] for error in response.json()["errors"]} == {"steps", "scale"}
