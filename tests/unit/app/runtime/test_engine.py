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
from app.runtime.cuda_graphs import CudaGraphs, bucket_sizes
from app.runtime.engine import Engine
from app.runtime.providers import Placement
from tests import conditional


@pytest.fixture(scope="module")
def shipped(models: Path) -> tuple[Card, bytes]:
    folder = models / "fashion-mnist/2"
    described = card.read(folder)
    return described, card.load_graph(folder, described.variants[0])


@pytest.fixture(scope="module")
def engine(shipped: tuple[Card, bytes]) -> Engine:
    return Engine(*shipped, Placement("cpu"))


def test_latents_become_pixels(engine: Engine) -> None:
    pixels = engine({"latents": sampling.from_seeds(range(5), 64)})
    assert pixels.shape == (5, 28, 28, 1)
    assert pixels.dtype == np.uint8
    assert engine.provider == "cpu"
    assert not engine.is_experimental
    assert len({image.tobytes() for image in pixels}) == 5


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 33, 64])
def test_the_pixels_of_a_seed_do_not_depend_on_its_batch(
    engine: Engine, shipped: tuple[Card, bytes], size: int, threads: int
) -> None:
    rows = sampling.from_seeds(range(64), 64)
    other = Engine(*shipped, Placement("cpu", threads))
    drawn = other({"latents": rows[:size]})
    np.testing.assert_array_equal(drawn, engine({"latents": rows})[:size])


@pytest.fixture(params=["shoes", "people"])
def conditioned(request: pytest.FixtureRequest) -> tuple[Card, bytes]:
    """A generator with classes, and one with attributes."""
    graph = conditional.graph(request.param)
    return conditional.described(request.param, graph), graph


def conditional_rows(size: int) -> dict[str, np.ndarray]:
    classes = np.random.default_rng(size).random((size, 4), np.float32)
    return {"latents": sampling.from_seeds(range(size), 8), "classes": classes}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 5, 64])
def test_a_conditional_generator_takes_latents_and_conditions(
    conditioned: tuple[Card, bytes], size: int, threads: int
) -> None:
    rows = conditional_rows(size)
    drawn = Engine(*conditioned, Placement("cpu", threads))(rows)
    np.testing.assert_array_equal(drawn, conditional.expected(*rows.values()))


def test_a_conditional_graph_is_refused_if_its_card_does_not_describe_its_conditions(
    conditioned: tuple[Card, bytes],
) -> None:
    described, graph = conditioned
    unconditional = described.model_copy(update={"classes": None, "attributes": None})
    with pytest.raises(CardError, match=r"input is .*'classes': .*4.* says {'latents': [^:]*$"):
        Engine(unconditional, graph, Placement("cpu"))
    classes = [{"name": name, "share": 0.5} for name in "abc"]
    three = Card.model_validate({**unconditional.model_dump(), "classes": classes})
    with pytest.raises(CardError, match=r"'classes': .*4.* says .*'classes': .*3"):
        Engine(three, graph, Placement("cpu"))


def test_a_graph_without_the_input_for_classes_is_refused(shipped: tuple[Card, bytes]) -> None:
    described, graph = shipped
    classes = [{"name": name, "share": 0.5} for name in "abc"]
    conditional_card = Card.model_validate({**described.model_dump(), "classes": classes})
    with pytest.raises(CardError, match=r"says .*'classes'"):
        Engine(conditional_card, graph, Placement("cpu"))


def test_an_invalid_graph_is_refused(shipped: tuple[Card, bytes]) -> None:
    with pytest.raises(CardError, match="cannot load the graph"):
        Engine(shipped[0], b"not onnx", Placement("cpu"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latent": {"width": 63, "prior": "normal"}}, r"input is .*64.* card says .*63"),
        ({"image": {"height": 32, "width": 28, "channels": 1}}, r"output is .*28.* says .*32"),
        ({"image": {"height": 28, "width": 28, "channels": 3}}, r"output is .*1\].* says .*3\]"),
        ({"name": "shirts"}, "metadata is .*fashion-mnist.* says .*shirts"),
        ({"version": 7}, "metadata is .*'1'.* says .*'7'"),
    ],
)
def test_a_graph_that_does_not_match_its_card_is_refused(
    shipped: tuple[Card, bytes], change: dict[str, object], words: str
) -> None:
    described, graph = shipped
    other = Card.model_validate({**described.model_dump(), **change})
    with pytest.raises(CardError, match=words):
        Engine(other, graph, Placement("cpu"))


@pytest.fixture
def simulated_gpu(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Simulates a GPU on the CPU. For each session, whether it was to capture CUDA graphs."""
    captures: list[bool] = []

    def session(graph: bytes, _: Placement, *, capture: bool) -> onnxruntime.InferenceSession:
        captures.append(capture)
        return providers.session(graph, Placement("cpu"))

    real = SimpleNamespace(session=session, identity=providers.identity)
    monkeypatch.setattr("app.runtime.engine.providers", real)
    monkeypatch.setattr("app.runtime.engine.CudaGraphs", partial(CudaGraphs, device="cpu"))
    return captures


def test_batches_run_as_captured_graphs_on_a_gpu(
    shipped: tuple[Card, bytes], engine: Engine, simulated_gpu: list[bool]
) -> None:
    rows = sampling.from_seeds(range(7), 64)
    drawn = Engine(*shipped, Placement("cuda"), max_batch=4)({"latents": rows})
    np.testing.assert_array_equal(drawn, engine({"latents": rows}))
    assert simulated_gpu == [True]


def test_conditions_are_in_buffers_on_a_gpu_too(
    conditioned: tuple[Card, bytes], simulated_gpu: list[bool]
) -> None:
    rows = conditional_rows(7)
    drawn = Engine(*conditioned, Placement("cuda"), max_batch=4)(rows)
    np.testing.assert_array_equal(drawn, conditional.expected(*rows.values()))
    assert simulated_gpu == [True]


def test_batches_run_without_capture_where_it_fails(
    shipped: tuple[Card, bytes],
    simulated_gpu: list[bool],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def cuda_graphs(*arguments: object) -> CudaGraphs:
        if simulated_gpu[-1]:
            raise RuntimeError("no capture")
        return CudaGraphs(*arguments, device="cpu")  # type: ignore[arg-type]

    monkeypatch.setattr("app.runtime.engine.CudaGraphs", cuda_graphs)
    drawn = Engine(*shipped, Placement("cuda"))({"latents": sampling.from_seeds([1], 64)})
    assert drawn.shape == (1, 28, 28, 1)
    assert simulated_gpu == [True, False]
    assert "CUDA graph capture failed; running without it" in caplog.text


def test_a_graph_that_does_not_match_its_card_is_refused_on_a_gpu_too(
    shipped: tuple[Card, bytes], simulated_gpu: list[bool]
) -> None:
    described, graph = shipped
    with pytest.raises(CardError, match="metadata"):
        Engine(described.model_copy(update={"version": 7}), graph, Placement("cuda"))
    assert simulated_gpu == [True]


def test_every_batch_size_runs_before_the_first_request_on_openvino(
    shipped: tuple[Card, bytes], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    class Recorded:
        """A session on the CPU in place of OpenVINO's, which records the sizes of its batches."""

        def __init__(self, graph: bytes, _: Placement) -> None:
            self._session = providers.session(graph, Placement("cpu"))

        def __getattr__(self, name: str) -> object:
            return getattr(self._session, name)

        def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> object:
            sizes.append(len(inputs["latents"]))
            return self._session.run(names, inputs)

    simulated = SimpleNamespace(session=Recorded, identity=lambda place: place.provider)
    monkeypatch.setattr("app.runtime.engine.providers", simulated)
    loaded = Engine(*shipped, Placement("openvino", precision="bf16"), max_batch=4)
    assert sizes == [*bucket_sizes(4)]
    rows = sampling.from_seeds(range(3), 64)
    np.testing.assert_array_equal(loaded({"latents": rows}), engine({"latents": rows}))
