"""The shipped model of digits draws what is requested, as the feature network for MNIST sees it."""

from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from training.evaluation import features
from training.evaluation.features import MNIST

Decode = Callable[[bytes], NDArray[np.uint8]]
SIDE = 28


@pytest.fixture(scope="module")
def recognise() -> Callable[[NDArray[np.uint8], int], list[int]]:
    """The digits that the network sees on a sheet with so many columns, row by row."""
    network = features.load(MNIST)

    def recognised(sheet: NDArray[np.uint8], columns: int) -> list[int]:
        tiles = sheet.reshape(-1, SIDE, columns, SIDE).swapaxes(1, 2).reshape(-1, 1, SIDE, SIDE)
        labels: list[int] = features.extract(network, tiles, MNIST).labels.tolist()
        return labels

    return recognised


def test_ten_digits_are_drawn_in_order(
    client: TestClient, decode: Decode, recognise: Callable[[NDArray[np.uint8], int], list[int]]
) -> None:
    response = client.post(
        "/generate?model=digits&n=10&seed=0&class=0,1,2,3,4,5,6,7,8,9",
        headers={"Accept": "image/png"},
    )
    assert response.headers["X-Model"] == "digits/1"
    assert recognise(decode(response.content), 4)[:10] == list(range(10))


def test_each_row_of_a_grid_of_classes_has_one_digit(
    client: TestClient, decode: Decode, recognise: Callable[[NDArray[np.uint8], int], list[int]]
) -> None:
    response = client.get("/grid?model=digits&rows=classes&cols=16&seed=0")
    found = np.array(recognise(decode(response.content), 16)).reshape(10, 16)
    right = found == np.arange(10)[:, None]
    assert right.mean() >= 0.95
    assert (right.mean(axis=1) > 0.7).all()
