import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from app.imaging import png
from app.imaging.sheets import Pixels

Decode = Callable[[bytes], NDArray[np.uint8]]


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def pixels(request: pytest.FixtureRequest) -> Pixels:
    """Noise, a vertical ramp, a black and a white image."""
    shape = (20, 24, request.param)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    ramp = np.broadcast_to((np.arange(20) * 13 % 256).astype(np.uint8)[:, None, None], shape)
    return np.stack([noise, ramp, np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)])


def chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    """Read the chunks of a PNG file as strictly as a validator."""
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    found, place = [], 8
    while place < len(file):
        (length,) = struct.unpack(">I", file[place : place + 4])
        kind, data = file[place + 4 : place + 8], file[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack(">I", file[place + 8 + length : place + 12 + length])
        assert checksum == zlib.crc32(kind + data)
        found.append((kind, data))
        place += 12 + length
    assert place == len(file)
    return found


def test_pillow_decodes_the_same_pixels(pixels: Pixels, decode: Decode) -> None:
    for file, image in zip(png.encode_all(pixels), pixels, strict=True):
        decoded = decode(file)
        np.testing.assert_array_equal(decoded.reshape(image.shape), image)
        assert decoded.ndim == (2 if image.shape[2] == 1 else 3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (1, 7, 1), (7, 1, 3), (300, 500, 3)])
def test_any_size_is_encoded(shape: tuple[int, ...], decode: Decode) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    (file,) = png.encode_all(image[None])
    np.testing.assert_array_equal(decode(file).reshape(shape), image)


def test_a_file_is_valid(pixels: Pixels) -> None:
    (file,) = png.encode_all(pixels[:1], [{"seed": "42"}])
    (first, header), *between, (_, data), last = chunks(file)
    height, width, channels = pixels.shape[1:]
    assert first == b"IHDR"
    colour = 0 if channels == 1 else 2
    assert struct.unpack(">IIBBBBB", header) == (width, height, 8, colour, 0, 0, 0)
    assert between == [(b"tEXt", b"seed\x0042")]
    assert last == (b"IEND", b"")
    stream = zlib.decompressobj()
    rows = stream.decompress(data)
    assert stream.eof
    assert not stream.unused_data
    assert len(rows) == height * (1 + width * channels)
    assert set(rows[:: 1 + width * channels]) == {0 if channels == 1 else 2}


def test_every_image_has_its_own_texts(pixels: Pixels) -> None:
    texts = [{"model": "clothes/1", "seed": str(k)} for k in range(len(pixels))]
    for file, text in zip(png.encode_all(pixels, texts), texts, strict=True):
        with Image.open(io.BytesIO(file)) as image:
            assert isinstance(image, PngImageFile)
            assert image.text == text


def test_the_number_of_texts_must_match(pixels: Pixels) -> None:
    with pytest.raises(ValueError, match="shorter"):
        png.encode_all(pixels, [{}])


def test_an_image_has_the_same_bytes_alone_and_in_a_batch(pixels: Pixels) -> None:
    alone = [file for image in pixels for file in png.encode_all(image[None].copy())]
    assert png.encode_all(pixels) == alone == [png.encode(image) for image in pixels]


def test_images_need_not_be_contiguous(pixels: Pixels, decode: Decode) -> None:
    mirrored = pixels[:, ::-1, ::-1]
    decoded = decode(png.encode_all(mirrored)[0])
    np.testing.assert_array_equal(decoded.reshape(mirrored[0].shape), mirrored[0])


def test_smooth_images_shrink(pixels: Pixels) -> None:
    _, smooth, black, white = png.encode_all(pixels)
    for file in (smooth, black, white):
        assert len(file) < 200
