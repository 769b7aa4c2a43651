"""The forms in which ``GET /interpolate`` answers."""

import base64
import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

Decode = Callable[[bytes], NDArray[np.uint8]]

PATH = "/interpolate?seeds=3,17,99&steps=4"
FORMS = {
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "apng": "image/apng",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "zip": "application/zip",
}
ANIMATED = ("gif", "webp", "apng")


def frames(content: bytes) -> list[NDArray[np.uint8]]:
    """The grey frames of an animation."""
    found = []
    with Image.open(io.BytesIO(content)) as image:
        for k in range(image.n_frames):
            image.seek(k)
            found.append(np.asarray(image.convert("L")))
    return found


@pytest.mark.parametrize(("form", "media_type"), FORMS.items())
def test_a_form_is_chosen_by_name_or_by_accept(
    client: TestClient, form: str, media_type: str
) -> None:
    named = client.get(f"{PATH}&format={form}", headers={"Accept": "image/png;q=0.1, text/html"})
    accepted = client.get(PATH, headers={"Accept": media_type})
    assert named.headers["Content-Type"] == accepted.headers["Content-Type"] == media_type
    assert named.headers["X-Seed"] == "3"
    assert "Accept" in named.headers["Vary"].split(", ")
    assert named.content == accepted.content


def test_an_unknown_form_is_refused_with_those_there_are(client: TestClient) -> None:
    problem = client.get(f"{PATH}&format=avif").json()
    assert problem["detail"] == f"format is 'avif' but must be one of {', '.join(FORMS)}"


@pytest.mark.parametrize(("fps", "allowed"), [("0.5", "from 1 to 50"), ("51", "50"), ("nan", "50")])
def test_a_speed_out_of_bounds_is_refused(client: TestClient, fps: str, allowed: str) -> None:
    answer = client.get(f"{PATH}&format=gif&fps={fps}")
    assert answer.status_code == 422
    (offence,) = answer.json()["errors"]
    assert (offence["parameter"], offence["value"]) == ("fps", fps)
    assert allowed in offence["allowed"]


@pytest.mark.parametrize("form", ANIMATED)
@pytest.mark.parametrize("loop", [True, False])
def test_an_animation_is_the_strip_frame_by_frame(
    client: TestClient, decode: Decode, form: str, loop: bool
) -> None:
    path = f"{PATH}&loop={loop}"
    strip = decode(client.get(path).content)
    content = client.get(f"{path}&format={form}&fps=20").content
    np.testing.assert_array_equal(np.concatenate(frames(content), axis=1), strip)
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert image.n_frames == (9 if loop else 7)
        assert image.info["duration"] == 50
        assert image.info.get("loop") == (0 if loop else None if form == "gif" else 1)


def test_an_archive_has_a_file_for_each_frame(client: TestClient, decode: Decode) -> None:
    answer = client.get(f"{PATH}&format=zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        assert names == [f"{k:03}.png" for k in range(7)]
        files = [decode(archive.read(name)) for name in names]
    np.testing.assert_array_equal(np.concatenate(files, axis=1), decode(client.get(PATH).content))


def test_easing_moves_frames_and_tells_where_they_are(client: TestClient, decode: Decode) -> None:
    def told(easing: str) -> dict[float, bytes]:
        path = f"/interpolate?from=3&to=17&steps=3&easing={easing}&format=json"
        body = client.get(path).json()
        assert body["easing"] == easing
        return {frame["position"]: base64.b64decode(frame["png"]) for frame in body["frames"]}

    even, late = told("linear"), told("ease-in")
    assert [*even] == [0, 0.5, 1]
    assert [*late] == pytest.approx([0, 1 - np.sqrt(0.5), 1])
    (_, a, _), (_, b, _) = even.values(), late.values()
    assert (decode(a) != decode(b)).any()
    assert even[0] == late[0]
    assert even[1] == late[1]


def test_a_file_of_too_many_pixels_is_refused(client: TestClient) -> None:
    path = "/interpolate?from=1&to=2&model=faces&format=webp&scale=8"
    assert client.get(f"{path}&steps=64").status_code == 200
    answer = client.get(f"{path}&steps=65")
    assert answer.status_code == 422
    assert {offence["parameter"] for offence in answer.json()["errors"]} == {"steps", "scale"}
