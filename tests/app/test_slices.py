from pathlib import Path

import numpy as np
import pytest

from app import card, latents
from app.providers import GraphError, Placement
from app.slices import Slices


@pytest.fixture(scope="module")
def graph(models: Path) -> bytes:
    folder = models / "fashion-mnist/2"
    return card.load(folder, card.read(folder).variant("any"))


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_every_image_is_drawn_in_its_place(graph: bytes, threads: int, count: int) -> None:
    rows = latents.from_seeds(range(count), 64)
    whole = Slices(graph, Placement("cpu", 1))
    drawn = Slices(graph, Placement("cpu", threads))(rows)
    np.testing.assert_array_equal(drawn, whole(rows))


def test_a_slice_that_fails_fails_the_batch_and_no_other(graph: bytes) -> None:
    slices = Slices(graph, Placement("cpu", 3))
    with pytest.raises(Exception, match="Got: 63 Expected: 64"):
        slices(np.zeros((6, 63), np.float32))
    assert len(slices(np.zeros((6, 64), np.float32))) == 6


def test_what_is_no_graph_has_no_slices() -> None:
    with pytest.raises(GraphError, match="cannot load the graph"):
        Slices(b"not onnx", Placement("cpu", 2))
