"""A loaded generator: one model version on one provider."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import onnxruntime as ort

from app.artifact.card import OUTPUT, Card, CardError, digest
from app.imaging.sheets import Pixels
from app.runtime import arrays, providers, tensorrt
from app.runtime.arrays import GraphInputs
from app.runtime.cpu_affinity import ThreadAffinity
from app.runtime.cuda_graphs import CudaGraphs, bucket_sizes
from app.runtime.parallel_sessions import ParallelSessions
from app.runtime.providers import GraphError, Placement, ProviderError

Draw = Callable[[GraphInputs], Pixels]

_WARM_UP_BATCH = 2
"""Largest batch of the warm-up on the CPU provider; larger batches need none."""

_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}

logger = logging.getLogger(__name__)


class Engine:
    """Computes the pixels of a batch of latents and, for a conditional generator, conditions."""

    def __init__(self, card: Card, graph: bytes, placement: Placement, max_batch: int = 64) -> None:
        """Load ``graph``, compare it with ``card`` and warm it up for up to ``max_batch`` images.

        Raises ProviderError if the provider does not start, and CardError if the graph cannot be
        loaded or does not match the card.
        """
        self.provider, self.precision = placement.provider, placement.precision
        try:
            self._draw = _LOADERS[placement.provider](card, graph, placement, max_batch)
        except GraphError as error:
            raise CardError(str(error)) from error
        self.identity = f"{digest(graph)} {providers.identity(placement)}"
        """Identifies what computes the pixels: anything else may round differently."""

    @property
    def is_experimental(self) -> bool:
        """Whether the provider is one that no GPU has run yet."""
        return self.provider in providers.EXPERIMENTAL

    def __call__(self, inputs: GraphInputs) -> Pixels:
        """Float32 arrays for ``Card.inputs`` to uint8 ``(n, height, width, channels)``."""
        return self._draw(inputs)


def _on_cpu(card: Card, graph: bytes, placement: Placement, _: int) -> Draw:
    """Small batches use all threads for each operator; larger ones a session for each thread."""
    parallel = ParallelSessions(graph, placement)
    check_signature(card, parallel.session)
    _warm_up(card, parallel, _WARM_UP_BATCH)
    parallel.calibrate(card.inputs)
    if placement.threads == 1:
        return parallel
    affinity = ThreadAffinity()
    with affinity.adding_native_threads():
        shared = _runner(providers.session(graph, placement))
    _warm_up(card, shared, _WARM_UP_BATCH)

    def draw(inputs: GraphInputs) -> Pixels:
        if parallel.parts(arrays.count(inputs)) > 1:
            return parallel(inputs)
        affinity.avoid_current_cpu()
        return shared(inputs)

    return draw


def _on_openvino(card: Card, graph: bytes, placement: Placement, max_batch: int) -> Draw:
    draw = _runner(check_signature(card, providers.session(graph, placement)))
    _warm_up(card, draw, max_batch)  # OpenVINO compiles the graph for every batch size
    return draw


def _on_cuda(card: Card, graph: bytes, placement: Placement, max_batch: int) -> Draw:
    def load(*, capture: bool) -> CudaGraphs:
        return _cuda_graphs(card, providers.session(graph, placement, capture=capture), max_batch)

    try:
        return load(capture=True)
    except (ProviderError, CardError):
        raise
    except Exception:  # onnxruntime's errors have no common class
        logger.warning("CUDA graph capture failed; running without it", exc_info=True)
        return load(capture=False)


def _on_tensorrt(card: Card, graph: bytes, placement: Placement, max_batch: int) -> Draw:
    def load(folder: Path | None) -> CudaGraphs:
        options = tensorrt.provider_options(card.inputs, max_batch, folder)
        session = providers.session(graph, placement, tensorrt_options=options)
        return _cuda_graphs(card, session, max_batch)

    name = tensorrt.engine_name(graph, placement, max_batch)
    return tensorrt.cached(placement.engine_cache, name, load)


_LOADERS = {"cpu": _on_cpu, "openvino": _on_openvino, "cuda": _on_cuda, "tensorrt": _on_tensorrt}


def _cuda_graphs(card: Card, session: ort.InferenceSession, max_batch: int) -> CudaGraphs:
    return CudaGraphs(check_signature(card, session), card.inputs, card.image.shape, max_batch)


def _runner(session: ort.InferenceSession) -> Draw:
    def draw(inputs: GraphInputs) -> Pixels:
        pixels: Pixels
        (pixels,) = session.run([OUTPUT], inputs)
        return pixels

    return draw


def _warm_up(card: Card, draw: Draw, max_batch: int) -> None:
    """Run every batch size once: the first run allocates, which would delay a client."""
    for size in bucket_sizes(max_batch):
        draw(arrays.zeros(card.inputs, size))


def check_signature(card: Card, session: ort.InferenceSession) -> ort.InferenceSession:
    """``session``, whose inputs, outputs and metadata match ``card``. Raises CardError if not."""
    expected = {
        "input": {name: ("float32", [width]) for name, width in card.inputs.items()},
        "output": {OUTPUT: (card.image.dtype, [*card.image.shape])},
        "metadata": card.metadata(),
    }
    found = {
        "input": signature(session.get_inputs()),
        "output": signature(session.get_outputs()),
        "metadata": dict(session.get_modelmeta().custom_metadata_map),
    }
    compare("graph", found, expected)
    return session


def compare(graph: str, found: Mapping[str, object], expected: Mapping[str, object]) -> None:
    """Raise CardError if a part of this ``graph`` is not as the card says."""
    for part, value in expected.items():
        if found[part] != value:
            raise CardError(f"the {graph}'s {part} is {found[part]}, but the card says {value}")


def signature(nodes: list[ort.NodeArg]) -> dict[str, tuple[str, list[object]]]:
    """Dtype and shape of every node by name, without a dynamic batch axis."""
    found = {}
    for node in nodes:
        shape = [*node.shape]
        if shape and not isinstance(shape[0], int):  # a dynamic axis has a name instead
            del shape[0]
        found[node.name] = _DTYPES.get(node.type, node.type), shape
    return found
