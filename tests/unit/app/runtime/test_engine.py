from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from app.artifact import card
from app.artifact.card import Card, CardError
from app.latent import sampling
from app.runtime import providers
from app.runtime.cuda_graphs import Buckets
from app.runtime.engine import Engine
from app.runtime.providers import Placement


@pytest.fixture(scope="module")
def shipped(models: Path) -> tuple[Card, bytes]:
    folder = models / "fashion-mnist/1"
    described = card.read(folder)
    return described, card.load_graph(folder, described.variants[0])


@pytest.fixture(scope="module")
def engine(shipped: tuple[Card, bytes]) -> Engine:
    return Engine(*shipped, Placement("cpu"))


def test_latents_become_pixels(engine: Engine) -> None:
    pixels = engine({"latents": sampling.from_seeds(range(5), 100)})
    assert pixels.shape == (5, 28, 28, 1)
    assert pixels.dtype == np.uint8
    assert engine.provider == "cpu"
    assert len({image.tobytes() for image in pixels}) == 5


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 33, 64])
def test_the_batch_plays_no_part_in_a_seeds_pixels(
    engine: Engine, shipped: tuple[Card, bytes], size: int, threads: int
) -> None:
    rows = sampling.from_seeds(range(64), 100)
    other = Engine(*shipped, Placement("cpu", threads))
    drawn = other({"latents": rows[:size]})
    np.testing.assert_array_equal(drawn, engine({"latents": rows})[:size])


def test_bytes_that_are_no_graph_are_refused(shipped: tuple[Card, bytes]) -> None:
    with pytest.raises(CardError, match="cannot load the graph"):
        Engine(shipped[0], b"not onnx", Placement("cpu"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latent": {"width": 99, "prior": "normal"}}, r"input is .*100.* card says .*99"),
        ({"image": {"height": 32, "width": 28, "channels": 1}}, r"output is .*28.* says .*32"),
        ({"image": {"height": 28, "width": 28, "channels": 3}}, r"output is .*1\].* says .*3\]"),
        ({"name": "shirts"}, "metadata is .*fashion-mnist.* says .*shirts"),
        ({"version": 7}, "metadata is .*'1'.* says .*'7'"),
    ],
)
def test_a_graph_that_is_not_what_the_card_says_tells_both(
    shipped: tuple[Card, bytes], change: dict[str, object], words: str
) -> None:
    described, graph = shipped
    other = Card.model_validate({**described.model_dump(), **change})
    with pytest.raises(CardError, match=words):
        Engine(other, graph, Placement("cpu"))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A GPU made of the CPU: whether each of its sessions was to capture graphs."""
    captures: list[bool] = []

    def session(graph: bytes, _: Placement, *, captured: bool) -> onnxruntime.InferenceSession:
        captures.append(captured)
        return providers.session(graph, Placement("cpu"))

    real = SimpleNamespace(session=session)
    monkeypatch.setattr("app.runtime.engine.providers", real)
    monkeypatch.setattr("app.runtime.engine.Buckets", partial(Buckets, device="cpu"))
    return captures


def test_on_a_gpu_batches_run_in_captured_buckets(
    shipped: tuple[Card, bytes], engine: Engine, pretended: list[bool]
) -> None:
    rows = sampling.from_seeds(range(7), 100)
    drawn = Engine(*shipped, Placement("cuda"), largest=4)({"latents": rows})
    np.testing.assert_array_equal(drawn, engine({"latents": rows}))
    assert pretended == [True]


def test_where_graphs_cannot_be_captured_it_runs_without(
    shipped: tuple[Card, bytes],
    pretended: list[bool],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def buckets(*told: object) -> Buckets:
        if pretended[-1]:
            raise RuntimeError("no capture")
        return Buckets(*told, device="cpu")  # type: ignore[arg-type]

    monkeypatch.setattr("app.runtime.engine.Buckets", buckets)
    drawn = Engine(*shipped, Placement("cuda"))({"latents": sampling.from_seeds([1], 100)})
    assert drawn.shape == (1, 28, 28, 1)
    assert pretended == [True, False]
    assert "without CUDA graphs" in caplog.text


def test_a_graph_of_another_card_is_refused_on_a_gpu_too(
    shipped: tuple[Card, bytes], pretended: list[bool]
) -> None:
    described, graph = shipped
    with pytest.raises(CardError, match="metadata"):
        Engine(described.model_copy(update={"version": 7}), graph, Placement("cuda"))
    assert pretended == [True]
