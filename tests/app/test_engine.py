from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from app import card, latents
from app.card import Card, CardError
from app.engine import Engine, wanted_providers
from app.errors import StartupError


@pytest.fixture(scope="module")
def shipped(models: Path) -> tuple[Card, bytes]:
    folder = models / "fashion-mnist/1"
    described = card.read(folder)
    return described, card.load(folder, described.variants[0])


@pytest.fixture(scope="module")
def engine(shipped: tuple[Card, bytes]) -> Engine:
    return Engine(*shipped, provider="cpu", threads=1)


def test_latents_become_pixels(engine: Engine) -> None:
    pixels = engine({"latents": latents.from_seeds(range(5), 100)})
    assert pixels.shape == (5, 28, 28, 1)
    assert pixels.dtype == np.uint8
    assert engine.provider == "cpu"
    assert len({image.tobytes() for image in pixels}) == 5


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 33, 64])
def test_the_batch_plays_no_part_in_a_seeds_pixels(engine: Engine, size: int) -> None:
    rows = latents.from_seeds(range(64), 100)
    whole = engine({"latents": rows})
    np.testing.assert_array_equal(engine({"latents": rows[:size]}), whole[:size])


def test_auto_takes_the_cpu_where_there_is_no_gpu(shipped: tuple[Card, bytes]) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime is built with CUDA")
    assert Engine(*shipped, provider="auto", threads=1).provider == "cpu"


def test_cuda_without_a_cuda_build_refuses_and_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(StartupError, match=r"provider=cuda.* extra gpu"):
        wanted_providers("cuda")


class CudaThatDoesNotStart:
    """onnxruntime-gpu on a machine without a driver: it falls back to the CPU and only logs."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.asked: list[str] = []

    def __call__(self, graph: bytes, options: object, providers: list[str]) -> Any:
        self.asked = providers
        return self._real(graph, options, providers=["CPUExecutionProvider"])


@pytest.fixture
def broken_cuda(monkeypatch: pytest.MonkeyPatch) -> CudaThatDoesNotStart:
    built_in = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: built_in)
    session = CudaThatDoesNotStart(onnxruntime.InferenceSession)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    return session


def test_cuda_that_does_not_start_refuses(
    shipped: tuple[Card, bytes], broken_cuda: CudaThatDoesNotStart
) -> None:
    with pytest.raises(StartupError, match="does not start"):
        Engine(*shipped, provider="cuda", threads=1)
    assert broken_cuda.asked == ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.usefixtures("broken_cuda")
def test_auto_goes_on_without_it_and_tells_what_really_runs(
    shipped: tuple[Card, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    assert Engine(*shipped, provider="auto", threads=1).provider == "cpu"
    assert "CUDA does not start here" in caplog.text


def test_bytes_that_are_no_graph_are_refused(shipped: tuple[Card, bytes]) -> None:
    with pytest.raises(CardError, match="cannot load the graph"):
        Engine(shipped[0], b"not onnx", provider="cpu", threads=1)


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
        Engine(other, graph, provider="cpu", threads=1)
