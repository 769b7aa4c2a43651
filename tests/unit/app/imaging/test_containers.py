"""Image files are inspected without being decoded."""

import io
import random
import struct

import numpy as np
import pytest
from PIL import Image

from app.imaging import containers, uploads
from app.imaging.containers import MAX_PIXELS, RefusedImageError
from app.imaging.uploads import ModelImages
from tests.files import encoded, gif_of_size, hostile, jpeg_of_size, png_bomb, webp_of_size

KINDS = ["PNG", "JPEG", "WEBP", "GIF"]
PHOTO = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
MODEL = ModelImages(28, 28, 1, (0,))
FORMATS = "a complete PNG, JPEG, WebP or GIF file"


@pytest.mark.usefixtures("_undecodable")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colours", [True, False])
def test_format_and_size_are_in_the_header(kind: str, colours: bool) -> None:
    file = containers.inspect(encoded(PHOTO if colours else PHOTO[..., 0], kind))
    assert (file.format.upper(), file.width, file.height, file.orientation) == (kind, 40, 30, 1)
    assert file.pixels == 1200


@pytest.mark.usefixtures("_undecodable")
@pytest.mark.parametrize("name", hostile())
def test_hostile_files_are_refused_before_they_are_decoded(name: str) -> None:
    content, found = hostile()[name]
    with pytest.raises(RefusedImageError) as caught:
        containers.inspect(content)
    assert found in caught.value.found
    pixels = f"an image of 1 to {MAX_PIXELS} pixels"
    assert caught.value.allowed == (pixels if "pixels" in found else FORMATS)


@pytest.mark.parametrize("make", [jpeg_of_size, webp_of_size, gif_of_size])
def test_the_largest_image_is_allowed_and_one_more_row_is_not(
    make: "type[jpeg_of_size]",
) -> None:
    assert containers.inspect(make(2**12, 2**13)).pixels == MAX_PIXELS
    with pytest.raises(RefusedImageError, match="4096 × 8193 pixels, but allowed is an image"):
        containers.inspect(make(2**12, 2**13 + 1))


def test_the_bomb_is_a_valid_image() -> None:
    with Image.open(io.BytesIO(png_bomb(96))) as image:
        assert np.asarray(image).shape == (96, 96)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_orientation_is_read(kind: str, orientation: int) -> None:
    assert containers.inspect(encoded(PHOTO, kind, orientation)).orientation == orientation


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_data_may_have_either_byte_order(order: str) -> None:
    name = b"II" if order == "<" else b"MM"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, 6, 0)
    tiff = name + struct.pack(f"{order}HIH", 42, 8, 1) + entry
    payload = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(payload)) + payload
    file = encoded(PHOTO, "JPEG")
    assert containers.inspect(file[:2] + segment + file[2:]).orientation == 6


@pytest.mark.parametrize(
    "damaged", [b"", b"II", b"MM*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_damaged_exif_data_is_ignored(damaged: bytes) -> None:
    payload = b"Exif\0\0" + damaged
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(payload)) + payload
    file = encoded(PHOTO, "JPEG")
    assert containers.inspect(file[:2] + segment + file[2:]).orientation == 1


def test_metadata_does_not_reach_the_decoder() -> None:
    secret = b"where the picture was taken"
    comment = struct.pack(">H", 2 + len(secret)) + secret
    file = encoded(PHOTO, "JPEG")
    for marker in (b"\xff\xfe", b"\xff\xe1", b"\xff\xe2", b"\xff\xff\xff\xed"):
        stripped = containers.inspect(file[:2] + marker + comment + file[2:]).content
        assert secret not in stripped
        np.testing.assert_array_equal(_decoded(stripped), _decoded(file))
    image = Image.fromarray(PHOTO)
    image.info["comment"] = secret
    for kind in ("PNG", "GIF"):
        buffer = io.BytesIO()
        image.quantize().save(buffer, kind, comment=secret, icc_profile=secret)
        stripped = containers.inspect(buffer.getvalue()).content
        assert secret not in stripped
        np.testing.assert_array_equal(_decoded(stripped), _decoded(buffer.getvalue()))


def _decoded(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def test_only_the_first_frame_of_a_gif_file_is_kept() -> None:
    frames = [Image.fromarray(PHOTO).quantize(), Image.fromarray(255 - PHOTO).quantize()]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], transparency=3)
    file = containers.inspect(buffer.getvalue())
    assert len(file.content) < 0.6 * len(buffer.getvalue())
    with Image.open(io.BytesIO(buffer.getvalue())) as first:
        expected = np.asarray(first.convert("RGBA"))
    with Image.open(io.BytesIO(file.content)) as kept:
        assert kept.n_frames == 1  # type: ignore[attr-defined]
        np.testing.assert_array_equal(np.asarray(kept.convert("RGBA")), expected)


def test_a_progressive_file_has_a_bounded_number_of_scans() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4000, 4000), np.uint8)).save(buffer, "JPEG", progressive=True)
    file = buffer.getvalue()
    assert containers.inspect(file).pixels == 16_000_000
    scan = file[file.index(b"\xff\xda") : -2]
    with pytest.raises(RefusedImageError, match=r"scans, but allowed is .* at most 33 scans"):
        containers.inspect(file[:-2] + 34 * scan[:20] + file[-2:])


def test_files_of_too_many_parts_are_refused() -> None:
    empty = b"\0\0\0\0teXt\0\0\0\0"
    png, gif = encoded(PHOTO), encoded(PHOTO[..., 0], "GIF")
    colours = 13 + 3 * 256
    files = [
        png[:33] + 20_000 * empty + png[33:],
        encoded(PHOTO, "JPEG").replace(b"\xff\xd8", b"\xff\xd8" + 20_000 * b"\xff\xfe\0\2", 1),
        gif[:colours] + 20_000 * b"!\xfe\0" + gif[colours:],
        gif[:colours] + b"!\xfe" + 200_000 * b"\1x" + b"\0" + gif[colours:],
    ]
    for file in files:
        with pytest.raises(RefusedImageError, match="more than"):
            containers.inspect(file)


def test_mutated_files_are_decoded_or_refused() -> None:
    source, outcomes = random.Random(0), set()  # noqa: S311
    files = [encoded(PHOTO, kind, 6 if kind != "GIF" else 1) for kind in KINDS]
    for _ in range(1000):
        content = bytearray(source.choice(files))
        for _ in range(source.randint(1, 4)):
            content[source.randrange(min(len(content), 300))] = source.randrange(256)
        if source.random() < 0.1:
            del content[source.randrange(len(content)) :]
        try:
            uploads.prepare(containers.inspect(bytes(content)), MODEL)
            outcomes.add("decoded")
        except RefusedImageError as error:
            outcomes.add(error.found)
    assert "decoded" in outcomes
    for name in ("PNG", "JPEG", "WebP", "GIF"):
        assert {f"a truncated or damaged {name} file", f"a damaged {name} file"} & outcomes
