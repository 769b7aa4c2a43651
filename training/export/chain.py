"""A generator's ONNX graph as a chain of steps: read, rewritten, and written again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

from app.artifact.card import INPUT, OUTPUT
from training.errors import ExportError
from training.export.graph import GraphWriter, finish

Constant = NDArray[np.generic]


@dataclass(frozen=True)
class Step:
    """One operator with its constant inputs and attributes; its first input is the step before."""

    operator: str
    constants: Sequence[Constant | None] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    branches: "Sequence[Chain]" = ()
    """Chains that all start from the step before; their outputs are the inputs of the operator."""
    input_shape: tuple[int, ...] = ()
    """Shape of the output of the step before, without the batch."""

    def write(self, writer: GraphWriter, output: str = "") -> None:
        """Append the step to the graph of ``writer``."""
        before, ends = writer.value, []
        for branch in self.branches:
            writer.value = before
            for step in branch:
                step.write(writer)
            ends.append(writer.value)
        writer.value, *others = ends or [before]
        names = ["" if one is None else writer.constant(one) for one in self.constants]
        writer.node(self.operator, *others, *names, output=output, **self.attributes)


Chain = list[Step]
Rewrite = Callable[[Chain], Chain]


def read_chain(model: onnx.ModelProto) -> Chain:
    """The steps of ``model``. Raises ExportError if its operators do not form a chain."""
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    inferred = shape_inference.infer_shapes(model).graph
    shapes = {one.name: _axes(one) for one in (*inferred.input, *inferred.value_info)}
    chain: Chain = []
    value = INPUT
    for node in model.graph.node:
        first, *others = node.input
        if first != value or len(node.output) != 1 or not {*others} <= {"", *constants}:
            raise ExportError(
                f"the operators of the graph are not a chain at {node.name or node.op_type}"
            )
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        inputs = [constants.get(name) for name in others]
        chain.append(Step(node.op_type, inputs, attributes, input_shape=tuple(shapes[value])))
        value = node.output[0]
    return chain


def rewrite_graph(graph: bytes, *rewrites: Rewrite) -> bytes:
    """``graph`` after all ``rewrites`` in their order, with the same metadata and opset."""
    model = onnx.load_from_string(graph)
    chain = read_chain(model)
    for rewrite in rewrites:
        chain = rewrite(chain)
    writer = GraphWriter()
    *steps, last = chain
    for step in steps:
        step.write(writer)
    last.write(writer, OUTPUT)
    metadata = {one.key: one.value for one in model.metadata_props}
    width, shape = _axes(model.graph.input[0])[0], _axes(model.graph.output[0])
    return finish(writer, width, (shape[0], shape[1], shape[2]), metadata, _opset(model))


def _axes(value: onnx.ValueInfoProto) -> list[int]:
    return [axis.dim_value for axis in value.type.tensor_type.shape.dim[1:]]


def _opset(model: onnx.ModelProto) -> int:
    return next(int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx"))
