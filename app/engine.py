"""One onnxruntime session: one model version on one provider. Knows no HTTP."""

import logging
from collections.abc import Mapping

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from app.card import INPUT, OUTPUT, Card, CardError
from app.errors import StartupError
from app.images import Pixels
from app.settings import Provider

Rows = Mapping[str, NDArray[np.generic]]
"""The graph's inputs by name; the first axis of each counts the images."""

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}

logger = logging.getLogger(__name__)


class Engine:
    """A loaded generator: call it with rows of latents and get pixels."""

    def __init__(self, card: Card, graph: bytes, provider: Provider, threads: int) -> None:
        """Load ``graph`` and hold it against ``card``.

        Raises StartupError where ``provider`` is ``cuda`` and CUDA does not run, CardError where
        the graph cannot be loaded or is not what the card says.
        """
        self._session = _session(graph, provider, threads)
        self.provider = self._session.get_providers()[0].removesuffix("ExecutionProvider").lower()
        """The provider that really runs: ``cpu`` or ``cuda``."""
        _verify(card, self._session)

    def __call__(self, rows: Rows) -> Pixels:
        """Latents float32 ``(n, width)`` to uint8 ``(n, height, width, channels)``."""
        pixels: Pixels
        (pixels,) = self._session.run([OUTPUT], dict(rows))
        return pixels


def wanted_providers(provider: Provider) -> list[str]:
    """What onnxruntime calls ``provider``, best first.

    Raises StartupError for ``cuda`` where this onnxruntime was built without it.
    """
    has_cuda = _CUDA in ort.get_available_providers()
    if provider == "cuda" and not has_cuda:
        raise StartupError(
            "provider=cuda: this onnxruntime has no CUDA provider; "
            "install the extra gpu in place of cpu, or use provider=cpu"
        )
    return [_CPU] if provider == "cpu" or not has_cuda else [_CUDA, _CPU]


def _session(graph: bytes, provider: Provider, threads: int) -> ort.InferenceSession:
    wanted = wanted_providers(provider)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # A thread that spins while it waits for work takes a CPU from the event loop and the encoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # warnings of a failed provider are told below, once
    try:
        # From bytes, not from a path: these are the bytes whose hash was checked, and a graph
        # without a path has no folder to read further files from.
        session = ort.InferenceSession(graph, options, providers=wanted)
    except Exception as error:  # onnxruntime's errors have no common class
        raise CardError(f"onnxruntime cannot load the graph: {_first_line(error)}") from error
    session.disable_fallback()
    if wanted[0] not in session.get_providers():
        if provider == "cuda":
            raise StartupError(
                "provider=cuda: onnxruntime has the CUDA provider, but it does not start; "
                "see that the NVIDIA driver, CUDA and cuDNN are installed, or use provider=cpu"
            )
        logger.warning("CUDA does not start here; the CPU provider runs instead")
    return session


def _verify(card: Card, session: ort.InferenceSession) -> None:
    """What the graph says of itself must be what the card says of it."""
    image = card.image
    expected = {
        "input": (INPUT, "float32", [card.latent.width]),
        "output": (OUTPUT, image.dtype, [image.height, image.width, image.channels]),
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


def _signature(nodes: list[ort.NodeArg]) -> object:
    """Name, dtype and shape of the only node, without its batch axis."""
    if len(nodes) != 1:
        return [node.name for node in nodes]
    (node,) = nodes
    batch, *shape = node.shape
    if isinstance(batch, int):  # a dynamic axis has a name
        shape = node.shape
    return node.name, _TYPES.get(node.type, node.type), shape


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
