"""The code of CUDA graphs on the CPU, where nothing is captured."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from app.latent import sampling
from app.runtime import cuda_graphs
from app.runtime.cuda_graphs import CudaGraphs

GRAPH = "fashion-mnist/2/generator.onnx"


@pytest.fixture(scope="module")
def session(models: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(models / GRAPH, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("largest", "expected"), [(1, [1]), (2, [1, 2]), (12, [1, 2, 4, 8, 12]), (16, [1, 2, 4, 8, 16])]
)
def test_bucket_sizes_double_up_to_the_largest(largest: int, expected: list[int]) -> None:
    assert list(cuda_graphs.bucket_sizes(largest)) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 13])
def test_a_padded_batch_has_the_same_pixels_as_the_session(
    session: onnxruntime.InferenceSession, count: int
) -> None:
    graphs = CudaGraphs(session, {"latents": 64}, (28, 28, 1), 6, device="cpu")
    rows = sampling.from_seeds(range(count), 64)
    (expected,) = session.run(None, {"latents": rows})
    np.testing.assert_array_equal(graphs({"latents": rows}), expected)


def test_the_next_batch_does_not_overwrite_the_pixels_of_the_last(
    session: onnxruntime.InferenceSession,
) -> None:
    graphs = CudaGraphs(session, {"latents": 64}, (28, 28, 1), 2, device="cpu")
    rows = sampling.from_seeds([1, 2], 64)
    first = graphs({"latents": rows[:1]})
    copied = first.copy()
    graphs({"latents": rows[1:]})
    np.testing.assert_array_equal(first, copied)
