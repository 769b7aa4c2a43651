import io

import numpy as np
import pytest
from PIL import Image

from app.imaging import webp


@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_has_the_same_pixels(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 24, channels), dtype=np.uint8)
    with Image.open(io.BytesIO(webp.encode(image))) as decoded:
        assert decoded.format == "WEBP"
        np.testing.assert_array_equal(np.asarray(decoded), np.broadcast_to(image, (20, 24, 3)))
