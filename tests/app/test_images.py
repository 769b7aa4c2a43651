import numpy as np
import pytest

from app import images
from app.images import Pixels


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def pixels(request: pytest.FixtureRequest) -> Pixels:
    shape = (5, 4, 6, request.param)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_a_sheet_is_filled_row_by_row_and_black_behind(pixels: Pixels) -> None:
    sheet = images.sheet(pixels, columns=3)
    assert sheet.shape == (8, 18, pixels.shape[3])
    np.testing.assert_array_equal(sheet[:4, 6:12], pixels[1])
    np.testing.assert_array_equal(sheet[4:, 6:12], pixels[4])
    assert not sheet[4:, 12:].any()


def test_as_many_columns_as_images_make_a_strip(pixels: Pixels) -> None:
    strip = images.sheet(pixels, columns=5)
    np.testing.assert_array_equal(strip, np.concatenate(list(pixels), axis=1))


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (16, 4), (256, 16)])
def test_the_squarest_sheet(count: int, columns: int) -> None:
    assert images.square(count) == columns
