"""Uploaded images become pixels of the model's shape."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from app.imaging import containers, uploads
from app.imaging.containers import RefusedImageError
from app.imaging.sheets import Pixels
from app.imaging.uploads import Invert, ModelImages, Prepared
from tests.files import encoded

random = np.random.default_rng(0)
PHOTO = random.integers(0, 256, (30, 40, 3), dtype=np.uint8)
GREY, COLOUR = ModelImages(28, 28, 1, (0,)), ModelImages(8, 8, 3, (10, 200, 30))


def prepare(content: bytes, model: ModelImages, invert: Invert = "auto") -> Prepared:
    return uploads.prepare(containers.inspect(content), model, invert)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("scale", [1, 3, 10])
def test_an_image_of_the_model_keeps_its_pixels_at_any_scale(kind: str, scale: int) -> None:
    image = random.integers(0, 256, (28, 28), dtype=np.uint8)
    image[[0, -1]], image[:, [0, -1]] = 0, 0
    large = image.repeat(scale, axis=0).repeat(scale, axis=1)
    prepared = prepare(encoded(large, kind), GREY)
    np.testing.assert_array_equal(prepared.pixels[..., 0], image)
    assert not prepared.inverted


def test_a_jpeg_file_is_scaled_while_it_is_decoded() -> None:
    ramp = np.linspace(0, 255, 800).astype(np.uint8)
    photo = np.stack([np.tile(ramp, (600, 1))] * 3, axis=-1)
    prepared = prepare(encoded(photo, "JPEG"), GREY)
    means = [
        ramp[100:700][round(k * 600 / 28) : round((k + 1) * 600 / 28)].mean() for k in range(28)
    ]
    np.testing.assert_allclose(prepared.pixels[:, :, 0], np.tile(means, (28, 1)), atol=4)


def test_the_centre_is_cut_out_with_the_proportions_of_the_model() -> None:
    wide = ModelImages(30, 30, 3, (0, 0, 0))
    np.testing.assert_array_equal(prepare(encoded(PHOTO), wide).pixels, PHOTO[:, 5:35])
    flat = ModelImages(20, 40, 3, (0, 0, 0))
    np.testing.assert_array_equal(prepare(encoded(PHOTO), flat).pixels, PHOTO[5:25])


def test_a_small_image_is_enlarged() -> None:
    prepared = prepare(encoded(np.full((1, 1), 7, np.uint8)), GREY, "false")
    assert prepared.pixels.shape == (28, 28, 1)
    assert np.unique(prepared.pixels).tolist() == [7]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_rotated_as_its_file_says(kind: str, orientation: int) -> None:
    content = encoded(PHOTO, kind, orientation)
    with Image.open(io.BytesIO(content)) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    model = ModelImages(*upright.shape[:2], 3, (0, 0, 0))
    np.testing.assert_array_equal(prepare(content, model).pixels, upright)


def test_a_colour_image_becomes_grey_by_its_luminance_and_grey_becomes_colour() -> None:
    red = np.full((28, 28, 3), (255, 0, 0), np.uint8)
    assert np.unique(prepare(encoded(red), GREY, "false").pixels).tolist() == [76]  # ITU-R 601
    grey = prepare(encoded(np.full((8, 8), 99, np.uint8)), COLOUR).pixels
    assert grey.shape == (8, 8, 3)
    assert np.unique(grey).tolist() == [99]


def test_transparent_parts_show_the_background_of_the_model() -> None:
    image = np.zeros((8, 8, 4), np.uint8)
    image[:4] = (100, 100, 100, 255)
    image[4] = (100, 100, 100, 51)  # a fifth
    pixels = prepare(encoded(image), COLOUR).pixels
    assert np.unique(pixels[:4]).tolist() == [100]
    assert pixels[4, 0].tolist() == [28, 180, 44]
    assert pixels[5:].reshape(-1, 3).tolist() == [[10, 200, 30]] * 24


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_may_have_a_transparent_colour(kind: str) -> None:
    image, buffer = Image.new("P", (8, 8)), io.BytesIO()
    image.putpalette([9, 9, 9, 50, 60, 70])
    image.paste(1, (0, 0, 8, 4))
    image.save(buffer, kind, transparency=0)
    pixels = prepare(buffer.getvalue(), COLOUR).pixels
    assert pixels[0, 0].tolist() == [50, 60, 70]
    assert pixels[7, 7].tolist() == [10, 200, 30]


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("CMYK", "JPEG"), ("RGBA", "WEBP")],
)
@pytest.mark.parametrize("model", [GREY, COLOUR])
def test_every_kind_of_pixels_is_understood(mode: str, kind: str, model: ModelImages) -> None:
    buffer = io.BytesIO()
    half = np.zeros((56, 56, 3), np.uint8)
    half[:, 28:] = 255
    Image.fromarray(half).convert(mode).save(buffer, kind)
    pixels = prepare(buffer.getvalue(), model, "false").pixels
    middle = model.width // 2
    assert pixels[:, : middle - 1].max() < 5
    assert pixels[:, middle + 1 :].min() > 250


@pytest.mark.parametrize("model", [GREY, COLOUR])
def test_sixteen_bits_become_eight(model: ModelImages) -> None:
    buffer = io.BytesIO()
    deep = np.repeat(np.uint16([[0x1234], [0xABCD]]), model.width, axis=1)
    deep = np.repeat(deep, model.height // 2, axis=0)
    Image.fromarray(deep).save(buffer, "PNG")
    pixels = prepare(buffer.getvalue(), model, "false").pixels
    assert (pixels[0, 0, 0], pixels[-1, 0, 0]) == (0x12, 0xAB)


def drawing(ink: int, paper: int) -> Pixels:
    image = np.full((28, 28), paper, np.uint8)
    image[8:20, 12:16] = ink
    return image


@pytest.mark.parametrize(
    ("ink", "paper", "background", "inverted"),
    [
        (255, 0, 0, False),
        (0, 255, 0, True),
        (20, 230, 0, True),
        (0, 255, 255, False),
        (255, 0, 255, True),
        (0, 128, 0, True),
        (0, 127, 0, False),
    ],
)
def test_auto_inverts_dark_drawings_for_models_of_light_ones(
    ink: int, paper: int, background: int, inverted: bool
) -> None:
    model = ModelImages(28, 28, 1, (background,))
    prepared = prepare(encoded(drawing(ink, paper)), model)
    assert prepared.inverted == inverted
    expected = 255 - drawing(ink, paper) if inverted else drawing(ink, paper)
    np.testing.assert_array_equal(prepared.pixels[..., 0], expected)


@pytest.mark.parametrize(("ink", "inverted"), [(0, True), (60, True), (200, False)])
def test_a_drawing_on_nothing_is_inverted_if_it_would_not_be_seen(ink: int, inverted: bool) -> None:
    image = np.zeros((28, 28, 2), np.uint8)
    image[8:20, 12:16] = ink, 255
    buffer = io.BytesIO()
    Image.frombytes("LA", (28, 28), image.tobytes()).save(buffer, "PNG")
    prepared = prepare(buffer.getvalue(), GREY)
    assert prepared.inverted == inverted
    shown = 255 - ink if inverted else ink
    assert prepared.pixels[10, 13] == shown
    assert prepared.pixels[0, 0] == 0


def test_an_image_of_nothing_is_the_background() -> None:
    buffer = io.BytesIO()
    Image.new("LA", (28, 28)).save(buffer, "PNG")
    prepared = prepare(buffer.getvalue(), GREY)
    assert (prepared.inverted, prepared.pixels.max()) == (False, 0)


def test_invert_may_be_given() -> None:
    light = encoded(drawing(255, 0))
    assert (prepare(light, GREY, "true").pixels[..., 0] == drawing(0, 255)).all()
    dark = prepare(encoded(drawing(0, 255)), GREY, "false")
    assert (dark.pixels[..., 0] == drawing(0, 255)).all()
    assert not prepare(encoded(np.full((8, 8), 255, np.uint8)), COLOUR).inverted
    assert (prepare(encoded(np.full((8, 8), 255, np.uint8)), COLOUR, "true").pixels == 0).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damaged_pixels_are_refused(kind: str) -> None:
    content = bytearray(encoded(PHOTO, kind))
    start = 24 if kind == "WEBP" else len(content) // 3
    content[start:-20] = bytes(len(content) - 20 - start)
    if kind == "JPEG":
        del content[60:200]
    with pytest.raises(RefusedImageError, match=r"a (truncated or )?damaged \w+ file"):
        prepare(bytes(content), COLOUR)
