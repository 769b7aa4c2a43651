"""Serving with the providers of a GPU, compared with the CPU provider."""

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from app.artifact.card import INPUT, Card
from app.imaging.sheets import Pixels
from app.latent import sampling
from app.runtime.engine import Engine
from app.runtime.providers import Placement, ProviderName
from tests.serving import serving

pytestmark = pytest.mark.gpu

SIZES = (1, 2, 3, 5, 8, 13, 16, 33, 64, 150)


@pytest.fixture(scope="module")
def engines(provider: ProviderName, shipped: tuple[Card, bytes]) -> tuple[Engine, Engine]:
    """The same model file on the GPU and on the CPU."""
    on_gpu = Engine(*shipped, Placement(provider))
    assert on_gpu.provider == provider
    return on_gpu, Engine(*shipped, Placement("cpu"))


def rows(card: Card, first: int, count: int) -> dict[str, NDArray[np.float32]]:
    seeds = range(first, first + count)
    return {INPUT: sampling.from_seeds(seeds, card.latent.width, card.latent.prior)}


def equal_share(one: Pixels, other: Pixels) -> float:
    """The share of equal pixels. Fails if any two differ by more than two levels."""
    assert one.shape == other.shape
    assert one.dtype == other.dtype == np.uint8
    difference = np.abs(one.astype(int) - other.astype(int))
    assert difference.max() <= 2
    return float((difference == 0).mean())


def test_the_images_of_the_gpu_equal_the_cpus(
    engines: tuple[Engine, Engine], shipped: tuple[Card, bytes]
) -> None:
    on_gpu, on_cpu = engines
    seeds = [rows(shipped[0], first, 64) for first in range(0, 1024, 64)]
    drawn = [np.concatenate([engine(batch) for batch in seeds]) for engine in (on_gpu, on_cpu)]
    assert equal_share(*drawn) >= 0.999


@pytest.mark.parametrize("size", SIZES)
def test_batches_of_every_size_contain_their_own_seeds(
    engines: tuple[Engine, Engine], shipped: tuple[Card, bytes], size: int
) -> None:
    on_gpu, on_cpu = engines
    for first in (0, 500):  # a CUDA graph with stale inputs would repeat the first images
        batch = rows(shipped[0], first, size)
        assert equal_share(on_gpu(batch), on_cpu(batch)) >= 0.999


def test_later_batches_leave_earlier_images_unchanged(
    engines: tuple[Engine, Engine], shipped: tuple[Card, bytes]
) -> None:
    on_gpu, _ = engines
    first = on_gpu(rows(shipped[0], 0, 16))
    before = first.copy()
    for other in range(1, 20):  # these would overwrite the images if buffers were shared
        on_gpu(rows(shipped[0], 100 * other, 16))
    np.testing.assert_array_equal(first, before)
    # cuDNN may add the terms of a transposed convolution in any order.
    assert equal_share(on_gpu(rows(shipped[0], 0, 16)), before) >= 0.999


def test_memory_does_not_grow(engines: tuple[Engine, Engine], shipped: tuple[Card, bytes]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("PyTorch reads the free memory of the GPU, but is built without CUDA")
    on_gpu, _ = engines
    batches = [rows(shipped[0], 0, size) for size in SIZES]
    for batch in batches:
        on_gpu(batch)
    before = torch.cuda.mem_get_info()[0]
    for number in range(20_000):
        on_gpu(batches[number % len(batches)])
    assert before - torch.cuda.mem_get_info()[0] <= 2**21


WITHOUT_GPU = """
import sys
from pathlib import Path
from app.artifact import card
from app.runtime.engine import Engine
from app.runtime.providers import Placement, ProviderError

folder = Path("models/fashion-mnist/2")
described = card.read(folder)
try:
    Engine(described, card.load_graph(folder, described.variants[0]), Placement(sys.argv[1]))
except ProviderError as error:
    print(error)
"""


def test_a_missing_gpu_is_an_error(provider: ProviderName, root: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_GPU, provider],
        cwd=root,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    # onnxruntime prints messages of its own, too.
    assert f"\nprovider={provider}: " in "\n" + ended.stdout


def sheet(address: str, seed: int) -> Pixels:
    accept = {"Accept": "image/png"}
    answer = httpx.post(f"{address}/generate?n=16&seed={seed}", headers=accept, timeout=60)
    with Image.open(io.BytesIO(answer.raise_for_status().content)) as image:
        return np.asarray(image)


def test_concurrent_requests_are_computed_on_the_gpu(
    provider: ProviderName, root: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "app", "--engine-cache", str(tmp_path / "engines")]
    sheets = []
    for one in (provider, "cpu"):
        with serving([*command, "--provider", one], root, tmp_path / one) as address:
            assert one in httpx.get(f"{address}/health/ready").text
            with ThreadPoolExecutor(16) as threads:
                drawn = threads.map(lambda seed, at=address: sheet(at, seed), range(200))
                sheets.append(np.stack(list(drawn)))
    assert equal_share(*sheets) >= 0.999
