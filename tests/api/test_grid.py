"""``GET /grid`` with ``corners``, with a shipped model."""

from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.latent.sampling import SEEDS
from tests.sheets import tiles

Pixels = NDArray[np.uint8]
Decode = Callable[[bytes], Pixels]


@pytest.mark.parametrize(("rows", "cols"), [(2, 2), (3, 5), (8, 8), (2, 128)])
def test_the_images_of_the_corners_are_in_the_corners(
    client: TestClient,
    decode: Decode,
    image: Callable[[int], Pixels],
    rows: int,
    cols: int,
) -> None:
    path = f"/grid?corners=1,2,3,{SEEDS - 1}&rows={rows}&cols={cols}"
    response = client.get(path)
    assert response.headers["X-Seed"] == "1"
    sheet = tiles(decode(response.content))
    assert sheet.shape[:2] == (rows, cols)
    found = (sheet[0, 0], sheet[0, -1], sheet[-1, 0], sheet[-1, -1])
    for corner, seed in zip(found, (1, 2, 3, SEEDS - 1), strict=True):
        np.testing.assert_array_equal(corner, image(seed))
    assert client.get(path).content == response.content


def test_the_edges_are_spherical_interpolations_for_normal_latents(
    client: TestClient, decode: Decode
) -> None:
    sheet = tiles(decode(client.get("/grid?corners=1,2,3,4&rows=4&cols=6").content))
    edges = {(1, 2): sheet[0], (3, 4): sheet[-1], (1, 3): sheet[:, 0], (2, 4): sheet[:, -1]}
    for (start, end), edge in edges.items():
        path = f"/interpolate?from={start}&to={end}&steps={len(edge)}"
        (arc,) = tiles(decode(client.get(path).content))
        assert np.abs(edge.astype(int) - arc).max() <= 1


@pytest.mark.parametrize(
    ("query", "cached"),
    [
        ("version=2&seed=7", True),
        ("version=2&corners=1,2,3,4", True),
        ("seed=7", False),  # another version may become the highest
        ("version=2", False),  # the seed is random
    ],
)
def test_a_sheet_of_named_seeds_may_be_cached(
    client: TestClient, query: str, *, cached: bool
) -> None:
    response = client.get(f"/grid?model=fashion-mnist&rows=2&cols=2&{query}")
    expected = "public, max-age=31536000, immutable" if cached else None
    assert response.headers.get("Cache-Control") == expected
