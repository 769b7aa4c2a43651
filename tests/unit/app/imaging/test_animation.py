"""Animations, decoded by Pillow."""

import io
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.imaging import animation
from app.imaging.animation import AnimationFormat

FORMATS = get_args(AnimationFormat)
NAMES = {"gif": "GIF", "webp": "WEBP", "apng": "PNG"}


@pytest.fixture
def pixels(request: pytest.FixtureRequest) -> NDArray[np.uint8]:
    """Seven smooth and different images, grey or in colour."""
    channels: int = request.param
    y, x, k = np.mgrid[:20, :24, :7].astype(float)
    planes = [np.sin(x / (3 + c) + k / 2) * np.cos(y / (4 + c)) for c in range(channels)]
    waves = np.stack(planes, axis=-1).transpose(2, 0, 1, 3)
    return np.round(127.5 + 127.5 * waves).astype(np.uint8)


def read(
    content: bytes, file_format: AnimationFormat
) -> tuple[list[NDArray[np.uint8]], list[int], object]:
    """Frames, their milliseconds, and the number of repetitions (0 endless, None unspecified)."""
    frames, lengths = [], []
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == NAMES[file_format]
        for k in range(image.n_frames):
            image.seek(k)
            frames.append(np.asarray(image.convert("RGB")))
            lengths.append(round(image.info["duration"]))
        return frames, lengths, image.info.get("loop")


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("pixels", [1], indirect=True)
def test_grey_frames_are_exact_in_every_format(
    pixels: NDArray[np.uint8], file_format: AnimationFormat
) -> None:
    frames, _, _ = read(animation.encode(pixels, file_format, 10, repeat=True), file_format)
    np.testing.assert_array_equal(frames, np.repeat(pixels, 3, axis=-1))


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("pixels", [3], indirect=True)
def test_colours_are_exact_except_in_gif(
    pixels: NDArray[np.uint8], file_format: AnimationFormat
) -> None:
    frames, _, _ = read(animation.encode(pixels, file_format, 10, repeat=True), file_format)
    off = np.abs(np.stack(frames).astype(int) - pixels)
    assert off.shape == (7, 20, 24, 3)
    # Nearly every pixel has a different colour, but a palette has only 256.
    assert off.mean() < 8 if file_format == "gif" else off.max() == 0


@pytest.mark.parametrize("pixels", [3], indirect=True)
def test_a_gif_of_few_colours_is_exact(pixels: NDArray[np.uint8]) -> None:
    few = pixels // 64 * 64
    frames, _, _ = read(animation.encode(few, "gif", 10, repeat=True), "gif")
    np.testing.assert_array_equal(frames, few)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("pixels", [1, 3], indirect=True)
def test_an_animation_repeats_endlessly_or_plays_once(
    pixels: NDArray[np.uint8], file_format: AnimationFormat
) -> None:
    plays = [
        read(animation.encode(pixels, file_format, 10, repeat=repeat), file_format)[2]
        for repeat in (1, 0)
    ]
    assert plays == [0, None if file_format == "gif" else 1]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize(
    ("fps", "lengths", "hundredths"),
    [
        (1, [1000] * 7, [1000] * 7),
        (50, [20] * 7, [20] * 7),
        (12, [83, 84, 83, 83, 84, 83, 83], [80, 90, 80, 80, 90, 80, 80]),
        (29.97, [33, 34, 33, 33, 34, 33, 34], [30, 40, 30, 30, 40, 30, 30]),
    ],
)
@pytest.mark.parametrize("pixels", [1], indirect=True)
def test_durations_have_the_resolution_of_the_format(
    pixels: NDArray[np.uint8],
    file_format: AnimationFormat,
    fps: float,
    lengths: list[int],
    hundredths: list[int],
) -> None:
    _, found, _ = read(animation.encode(pixels, file_format, fps, repeat=True), file_format)
    assert found == (hundredths if file_format == "gif" else lengths)


@pytest.mark.parametrize("fps", [1, 7, 12, 23.976, 29.97, 50])
@pytest.mark.parametrize("unit", [1, 10])
def test_rounding_errors_do_not_accumulate(fps: float, unit: int) -> None:
    lengths = animation.durations(256, fps, unit)
    assert len(lengths) == 256
    assert min(lengths) >= unit
    assert all(length % unit == 0 for length in lengths)
    starts = np.cumsum([0, *lengths])
    assert np.abs(starts - 1000 / fps * np.arange(257)).max() <= unit / 2


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("pixels", [1], indirect=True)
def test_a_repeated_frame_is_shown_longer(
    pixels: NDArray[np.uint8], file_format: AnimationFormat
) -> None:
    twice = pixels[[0, 1, 1, 1, 2]]
    frames, lengths, _ = read(animation.encode(twice, file_format, 10, repeat=True), file_format)
    assert sum(lengths) == 500
    shown = np.repeat(frames, np.array(lengths) // 100, axis=0)
    np.testing.assert_array_equal(shown, np.repeat(twice, 3, axis=-1))
