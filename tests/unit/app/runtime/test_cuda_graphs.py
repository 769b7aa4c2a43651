"""Buckets on the CPU: the same code as on a GPU, but for what CUDA captures."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from app.latent import sampling
from app.runtime import cuda_graphs
from app.runtime.cuda_graphs import Buckets

GRAPH = "fashion-mnist/2/generator.onnx"


@pytest.fixture(scope="module")
def session(models: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(models / GRAPH, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("largest", "expected"), [(1, [1]), (2, [1, 2]), (12, [1, 2, 4, 8, 12]), (16, [1, 2, 4, 8, 16])]
)
def test_buckets_double_up_to_the_largest(largest: int, expected: list[int]) -> None:
    assert list(cuda_graphs.sizes(largest)) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 13])
def test_a_batch_is_what_the_session_draws(
    session: onnxruntime.InferenceSession, count: int
) -> None:
    bucketed = Buckets(session, 64, (28, 28, 1), 6, device="cpu")
    rows = sampling.from_seeds(range(count), 64)
    (wanted,) = session.run(None, {"latents": rows})
    np.testing.assert_array_equal(bucketed(rows), wanted)


def test_the_next_batch_leaves_the_last_ones_pixels_alone(
    session: onnxruntime.InferenceSession,
) -> None:
    bucketed = Buckets(session, 64, (28, 28, 1), 2, device="cpu")
    rows = sampling.from_seeds([1, 2], 64)
    first = bucketed(rows[:1])
    kept = first.copy()
    bucketed(rows[1:])
    np.testing.assert_array_equal(first, kept)
