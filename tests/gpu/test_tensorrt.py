"""TensorRT only: half precision, and cached engines."""

from pathlib import Path

import numpy as np
import pytest

from app.artifact.card import INPUT, Card
from app.imaging.sheets import Pixels
from app.latent import sampling
from app.runtime import tensorrt
from app.runtime.engine import Engine
from app.runtime.providers import Placement

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("tensorrt_provider")]


def drawn(engine: Engine, card: Card, sizes: tuple[int, ...] = (64,)) -> Pixels:
    prior = card.latent
    batches = [sampling.from_seeds(range(size), prior.width, prior.prior) for size in sizes]
    return np.concatenate([engine({INPUT: batch}) for batch in batches])


def test_half_precision_gives_nearly_equal_images(shipped: tuple[Card, bytes]) -> None:
    # `evaluate` measures the quality of its images; this checks that they are the same images.
    half = Engine(*shipped, Placement("tensorrt", precision="fp16"))
    difference = drawn(half, shipped[0]).astype(int) - drawn(
        Engine(*shipped, Placement("cpu")), shipped[0]
    )
    assert half.precision == "fp16"
    assert (np.abs(difference) <= 2).mean() >= 0.99


def test_the_second_start_uses_the_engine_of_the_first(
    shipped: tuple[Card, bytes], tmp_path: Path
) -> None:
    place = Placement("tensorrt", engine_cache=tmp_path)
    first = Engine(*shipped, place, 16)
    cached = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.engine")}
    assert cached
    second = Engine(*shipped, place, 16)
    every = tuple(range(1, 17))  # a batch size without an engine would build one
    np.testing.assert_array_equal(drawn(second, shipped[0], every), drawn(first, shipped[0], every))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.engine")} == cached


def test_a_damaged_engine_is_rebuilt(
    shipped: tuple[Card, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Placement("tensorrt", engine_cache=tmp_path)
    Engine(*shipped, place, 16)
    for path in tmp_path.rglob("*.engine"):
        path.write_bytes(path.read_bytes()[:1000])
    images = drawn(Engine(*shipped, place, 16), shipped[0])
    assert "rebuilding it" in caplog.text
    on_cpu = drawn(Engine(*shipped, Placement("cpu")), shipped[0])
    assert (images == on_cpu).mean() >= 0.999
    assert [path.name for path in tmp_path.iterdir()] == [
        tensorrt.engine_name(shipped[1], place, 16)
    ]
