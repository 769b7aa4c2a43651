"""The first layer of a generator, cut out of its ONNX graph.

The graphs of runs, of published versions and of other programs' generators are read alike.
"""

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from numpy.typing import NDArray

from app.artifact.card import INPUT
from app.latent.sampling import Latents
from training.errors import ExportError
from training.export import cpu_session
from training.gan.conditional import Rows

Outputs = Callable[[Rows], NDArray[np.float32]]
"""Computes the numbers ``(n, d)`` inside a generator from its inputs, rows ``(n, z + k)``."""

_DENSE = frozenset({"Gemm", "MatMul", "ConvTranspose", "Conv"})
_ACTIVATIONS = frozenset(
    {"Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "Softplus", "Tanh", "Sigmoid"}
)
_SMALL = 1e-3
"""Largest difference from a linear function, relative to the size of the outputs."""


def activations(graph: bytes, conditions: int) -> Outputs:
    """The activations of the first layer of ``graph``, which has ``conditions`` conditions.

    Raises ExportError if it has no activations of a known kind.
    """
    return _outputs(graph, _ACTIVATIONS, conditions)


def matrix(graph: bytes, latents: Latents, conditions: int) -> NDArray[np.float32]:
    """The weights of the first dense layer: its outputs for each number of a latent ``(z, d)``.

    They are the differences of its outputs along the axes, so that every layout of weights and
    every reshaping before them is read alike; ``latents`` ``(n, z)`` check that it is linear.
    Raises ExportError if there is no such layer.
    """
    width = latents.shape[1]
    compute = _outputs(graph, _DENSE, conditions)

    def of(z: Latents) -> NDArray[np.float32]:
        return compute(np.pad(z, ((0, 0), (0, conditions))))

    offset = of(np.zeros((1, width), np.float32))
    found = of(np.eye(width, dtype=np.float32)) - offset
    expected = of(latents)
    if np.abs(latents @ found + offset - expected).max() > _SMALL * np.abs(expected).max():
        raise ExportError("its first layer is not linear, so that it has no matrix; use pca")
    return found


def _outputs(graph: bytes, operators: frozenset[str], conditions: int) -> Outputs:
    """The output of the first node with one of ``operators`` that depends on the latents."""
    model = onnx.load_from_string(graph)
    node = next((one for one in _from_latents(model.graph) if one.op_type in operators), None)
    if node is None:
        raise ExportError(f"its graph has none of the operators {', '.join(sorted(operators))}")
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name=node.output[0]))
    session = cpu_session.session(model.SerializeToString())

    def compute(rows: Rows) -> NDArray[np.float32]:
        found = cpu_session.run(session, cpu_session.graph_inputs(rows, conditions))
        return found.reshape(len(rows), -1)

    return compute


def _from_latents(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes that depend on the latents, in the order in which they run."""
    values = {INPUT}
    for node in graph.node:
        if values.intersection(node.input):
            values.update(node.output)
            yield node
