"""A loaded generator: one model version on one provider. Knows no HTTP."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from app.artifact.card import INPUT, OUTPUT, Card, CardError, digest
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents
from app.runtime import providers, tensorrt
from app.runtime.cpu_affinity import Crew
from app.runtime.cuda_graphs import Buckets, sizes
from app.runtime.parallel_sessions import Slices
from app.runtime.providers import GraphError, Placement, ProviderError

Rows = Mapping[str, NDArray[np.generic]]
"""The graph's inputs by name; the first axis of each counts the images."""
Draw = Callable[[Latents], Pixels]

_WARMING = 2

_TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}

logger = logging.getLogger(__name__)


class Engine:
    """Call it with rows of latents and get pixels."""

    def __init__(self, card: Card, graph: bytes, place: Placement, largest: int = 64) -> None:
        """Load ``graph``, hold it against ``card``, and warm it up for batches up to ``largest``.

        Raises ProviderError where the provider does not start, CardError where the graph cannot
        be loaded or is not what the card says.
        """
        self.provider, self.precision = place.provider, place.precision
        runs_as = f"{self.provider} {self.precision} onnxruntime {ort.__version__}"
        self.identity = f"{digest(graph)} {runs_as}"
        """What computes the pixels: anything else may round otherwise."""
        try:
            self._draw = _DRAWING[place.provider](card, graph, place, largest)
        except GraphError as error:
            raise CardError(str(error)) from error

    def __call__(self, rows: Rows) -> Pixels:
        """Latents float32 ``(n, width)`` to uint8 ``(n, height, width, channels)``."""
        return self._draw(cast("Latents", rows[INPUT]))


def _on_cpu(card: Card, graph: bytes, place: Placement, _: int) -> Draw:
    slices = Slices(graph, place)
    _verified(card, slices.session)
    _warm(card, slices, _WARMING)
    slices.measure(card.latent.width)
    if place.threads == 1:
        return slices
    crew = Crew()
    with crew.joined_by_others():
        shared = _drawing(providers.session(graph, place))
    _warm(card, shared, _WARMING)

    def draw(latents: Latents) -> Pixels:
        if slices.count(len(latents)) > 1:
            return slices(latents)
        crew.make_way()
        return shared(latents)

    return draw


def _on_openvino(card: Card, graph: bytes, place: Placement, largest: int) -> Draw:
    draw = _drawing(_verified(card, providers.session(graph, place)))
    _warm(card, draw, largest)  # it compiles for every length
    return draw


def _on_cuda(card: Card, graph: bytes, place: Placement, largest: int) -> Draw:
    def buckets(*, captured: bool) -> Buckets:
        return _buckets(card, providers.session(graph, place, captured=captured), largest)

    try:
        return buckets(captured=True)
    except (ProviderError, CardError):
        raise
    except Exception:  # onnxruntime's errors have no common class
        logger.warning("it runs without CUDA graphs, which fail", exc_info=True)
        return buckets(captured=False)


def _on_tensorrt(card: Card, graph: bytes, place: Placement, largest: int) -> Draw:
    def buckets(folder: Path | None) -> Buckets:
        more = tensorrt.options(card.latent.width, largest, folder)
        return _buckets(card, providers.session(graph, place, more=more), largest)

    return tensorrt.kept(place.engines, tensorrt.name(graph, place, largest), buckets)


_DRAWING = {"cpu": _on_cpu, "openvino": _on_openvino, "cuda": _on_cuda, "tensorrt": _on_tensorrt}


def _buckets(card: Card, session: ort.InferenceSession, largest: int) -> Buckets:
    return Buckets(_verified(card, session), card.latent.width, card.image.shape, largest)


def _drawing(session: ort.InferenceSession) -> Draw:
    def draw(latents: Latents) -> Pixels:
        pixels: Pixels
        (pixels,) = session.run([OUTPUT], {INPUT: latents})
        return pixels

    return draw


def _warm(card: Card, draw: Draw, largest: int) -> None:
    """The first run of a length allocates; a client should not wait for that."""
    for size in sizes(largest):
        draw(np.zeros((size, card.latent.width), np.float32))


def _verified(card: Card, session: ort.InferenceSession) -> ort.InferenceSession:
    """What the graph says of itself must be what the card says of it."""
    expected = {
        "input": (INPUT, "float32", [card.latent.width]),
        "output": (OUTPUT, card.image.dtype, [*card.image.shape]),
        "metadata": card.metadata(),
    }
    found = {
        "input": _signature(session.get_inputs()),
        "output": _signature(session.get_outputs()),
        "metadata": dict(session.get_modelmeta().custom_metadata_map),
    }
    for part, value in expected.items():
        if found[part] != value:
            raise CardError(f"the graph's {part} is {found[part]}, the card says {value}")
    return session


def _signature(nodes: list[ort.NodeArg]) -> object:
    """Name, dtype and shape of the only node, without its batch axis."""
    if len(nodes) != 1:
        return [node.name for node in nodes]
    (node,) = nodes
    batch, *shape = node.shape
    if isinstance(batch, int):  # a dynamic axis has a name
        shape = node.shape
    return node.name, _TYPES.get(node.type, node.type), shape
