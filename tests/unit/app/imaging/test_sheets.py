import numpy as np
import pytest

from app.imaging import sheets
from app.imaging.sheets import Pixels, Sheet


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def pixels(request: pytest.FixtureRequest) -> Pixels:
    shape = (5, 4, 6, request.param)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_a_sheet_is_filled_row_by_row_and_black_after_the_last_image(pixels: Pixels) -> None:
    sheet = sheets.sheet(pixels, columns=3)
    assert sheet.shape == (8, 18, pixels.shape[3])
    np.testing.assert_array_equal(sheet[:4, 6:12], pixels[1])
    np.testing.assert_array_equal(sheet[4:, 6:12], pixels[4])
    assert not sheet[4:, 12:].any()


def test_as_many_columns_as_images_make_a_strip(pixels: Pixels) -> None:
    strip = sheets.sheet(pixels, columns=5)
    np.testing.assert_array_equal(strip, np.concatenate(list(pixels), axis=1))


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (16, 4), (256, 16)])
def test_the_squarest_sheet(count: int, columns: int) -> None:
    assert sheets.square_columns(count) == columns


def test_upscaled_pixels_are_squares(pixels: Pixels) -> None:
    larger = sheets.upscale(pixels, 3)
    assert larger.shape == (5, 12, 18, pixels.shape[3])
    for down in range(3):
        for right in range(3):
            np.testing.assert_array_equal(larger[:, down::3, right::3], pixels)
    np.testing.assert_array_equal(sheets.upscale(pixels, 1), pixels)


@pytest.mark.parametrize(
    ("columns", "padding", "scale", "size"),
    [
        (3, 0, 1, (8, 18)),
        (3, 2, 1, (10, 22)),
        (5, 1, 2, (8, 64)),
        (1, 7, 3, (88, 18)),
        (8, 1, 1, (4, 55)),
    ],
)
def test_padding_separates_the_upscaled_images_of_a_sheet(
    pixels: Pixels, columns: int, padding: int, scale: int, size: tuple[int, int]
) -> None:
    layout = Sheet(columns, padding)
    assert layout.size(5, 4 * scale, 6 * scale) == size
    sheet = layout.arrange(sheets.upscale(pixels, scale))
    assert sheet.shape == (*size, pixels.shape[3])
    for k, image in enumerate(sheets.upscale(pixels, scale)):
        row, column = divmod(k, columns)
        top, left = row * (4 * scale + padding), column * (6 * scale + padding)
        found = sheet[top : top + 4 * scale, left : left + 6 * scale]
        np.testing.assert_array_equal(found, image)
        sheet[top : top + 4 * scale, left : left + 6 * scale] = 0
    assert not sheet.any()
