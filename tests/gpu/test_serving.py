"""Serving by the providers of a card, beside the CPU's."""

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
    """The same graph on the card and on the CPU."""
    on_card = Engine(*shipped, Placement(provider))
    assert on_card.provider == provider
    return on_card, Engine(*shipped, Placement("cpu"))


def rows(card: Card, first: int, count: int) -> dict[str, NDArray[np.float32]]:
    seeds = range(first, first + count)
    return {INPUT: sampling.from_seeds(seeds, card.latent.width, card.latent.prior)}


def alike(one: Pixels, other: Pixels) -> float:
    """The share of pixels that are equal; none may be off by more than two grey levels."""
    assert one.shape == other.shape
    assert one.dtype == other.dtype == np.uint8
    apart = np.abs(one.astype(int) - other.astype(int))
    assert apart.max() <= 2
    return float((apart == 0).mean())


def test_the_card_draws_what_the_cpu_draws(
    engines: tuple[Engine, Engine], shipped: tuple[Card, bytes]
) -> None:
    on_card, on_cpu = engines
    seeds = [rows(shipped[0], first, 64) for first in range(0, 1024, 64)]
    drawn = [np.concatenate([engine(batch) for batch in seeds]) for engine in (on_card, on_cpu)]
    assert alike(*drawn) >= 0.999


@pytest.mark.parametrize("size", SIZES)
def test_batches_of_every_size_draw_their_own_seeds(
    engines: tuple[Engine, Engine], shipped: tuple[Card, bytes], size: int
) -> None:
    on_card, on_cpu = engines
    for first in (0, 500):  # a graph that replayed its first inputs would draw them again
        batch = rows(shipped[0], first, size)
        assert alike(on_card(batch), on_cpu(batch)) >= 0.999


def test_what_was_drawn_stays_as_it_was(
    engines: tuple[Engine, Engine], shipped: tuple[Card, bytes]
) -> None:
    on_card, _ = engines
    first = on_card(rows(shipped[0], 0, 16))
    kept = first.copy()
    for other in range(1, 20):  # into the same buffers, if they were handed out
        on_card(rows(shipped[0], 100 * other, 16))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(on_card(rows(shipped[0], 0, 16)), kept)


def test_memory_stays_as_it_is(engines: tuple[Engine, Engine], shipped: tuple[Card, bytes]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("PyTorch, which reads the card's free memory, is built without CUDA")
    on_card, _ = engines
    batches = [rows(shipped[0], 0, size) for size in SIZES]
    for batch in batches:
        on_card(batch)
    before = torch.cuda.mem_get_info()[0]
    for number in range(20_000):
        on_card(batches[number % len(batches)])
    assert before - torch.cuda.mem_get_info()[0] <= 2**21


WITHOUT_CARD = """
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


def test_a_card_that_cannot_be_seen_is_refused(provider: ProviderName, root: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_CARD, provider],
        cwd=root,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    # onnxruntime has something to say, too.
    assert f"\nprovider={provider}: " in "\n" + ended.stdout


def sheet(address: str, seed: int) -> Pixels:
    accept = {"Accept": "image/png"}
    answer = httpx.post(f"{address}/generate?n=16&seed={seed}", headers=accept, timeout=60)
    with Image.open(io.BytesIO(answer.raise_for_status().content)) as image:
        return np.asarray(image)


def test_concurrent_requests_are_answered_from_the_card(
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
    assert alike(*sheets) >= 0.999
