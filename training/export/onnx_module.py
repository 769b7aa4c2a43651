"""Reads an ONNX graph back as a differentiable PyTorch module.

It knows the operators that ``training.export`` writes. Rounding to whole pixels passes gradients
on unchanged (Bengio et al. 2013, arXiv 1308.3432, straight-through estimator).
"""

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from training.errors import ExportError

Attributes = dict[str, Any]
Constants = list[list[float] | None]
"""The values of a node's inputs that are constants of one axis."""
Operation = Callable[..., Tensor]
"""Computes the output of a node from its inputs."""


class OnnxModule(nn.Module):
    """The function of a graph, from its inputs by name to its first output."""

    def __init__(self, graph: bytes) -> None:
        """Read ``graph``. Raises ExportError, with the name of an operator that is not known."""
        super().__init__()
        body = onnx.load_from_string(graph).graph
        constants = {one.name: numpy_helper.to_array(one) for one in body.initializer}
        self._steps = [_step(node, constants) for node in body.node]
        self._output = body.output[0].name
        self._constants = list(constants)
        for name, values in constants.items():
            self.register_buffer(_buffer(name), torch.from_numpy(values.copy()))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """The output for ``inputs``, unrounded."""
        values = {name: self.get_buffer(_buffer(name)) for name in self._constants} | inputs
        for operation, names, output in self._steps:
            values[output] = operation(*(values[name] if name else None for name in names))
        return values[self._output]


def _buffer(name: str) -> str:
    return "constant:" + name.replace(".", ":")  # a buffer's name has no dots


def _step(
    node: onnx.NodeProto, constants: dict[str, Any]
) -> tuple[Operation, tuple[str, ...], str]:
    """How to compute a node: the operation, the names of its inputs, and that of its output."""
    if node.op_type not in _OPERATORS:
        raise ExportError(
            f"its operator {node.op_type} cannot be differentiated here, only "
            f"{', '.join(sorted(_OPERATORS))}"
        )
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    found = [constants.get(name) for name in node.input]
    lists = [None if one is None or one.ndim != 1 else one.tolist() for one in found]
    return _OPERATORS[node.op_type](attributes, lists), tuple(node.input), node.output[0]


def _gemm(attributes: Attributes, _: Constants) -> Operation:
    unusual = {"alpha", "beta", "transA"} & attributes.keys()
    if unusual or not attributes.get("transB"):
        raise ExportError(f"its Gemm has the attributes {attributes}, not transB=1 alone")
    return functional.linear


def _padding(attributes: Attributes) -> tuple[int, ...]:
    """The padding of a convolution in both directions of each axis. Raises ExportError."""
    pads = attributes.get("pads", [0, 0, 0, 0])
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or pads[:2] != pads[2:]:
        raise ExportError("has a convolution whose padding is not the same on opposite sides")
    return tuple(pads[:2])


def _convolution(attributes: Attributes, _: Constants) -> Operation:
    options = {
        "stride": tuple(attributes.get("strides", (1, 1))),
        "padding": _padding(attributes),
        "dilation": tuple(attributes.get("dilations", (1, 1))),
        "groups": attributes.get("group", 1),
    }
    return lambda x, weight, bias=None: functional.conv2d(x, weight, bias, **options)


def _transposed_convolution(attributes: Attributes, _: Constants) -> Operation:
    options = {
        "stride": tuple(attributes.get("strides", (1, 1))),
        "padding": _padding(attributes),
        "output_padding": tuple(attributes.get("output_padding", (0, 0))),
        "dilation": tuple(attributes.get("dilations", (1, 1))),
        "groups": attributes.get("group", 1),
    }
    return lambda x, weight, bias=None: functional.conv_transpose2d(x, weight, bias, **options)


def _batch_norm(attributes: Attributes, _: Constants) -> Operation:
    epsilon = attributes.get("epsilon", 1e-5)
    return lambda x, scale, bias, mean, variance: functional.batch_norm(
        x, mean, variance, scale, bias, eps=epsilon
    )


def _reshape(_: Attributes, constants: Constants) -> Operation:
    sizes = _constant("Reshape", constants, 1)

    def reshape(x: Tensor, _: Tensor) -> Tensor:
        # Zero keeps the size of an axis.
        return x.reshape([int(size) or x.shape[axis] for axis, size in enumerate(sizes)])

    return reshape


def _resize(attributes: Attributes, constants: Constants) -> Operation:
    scales = _constant("Resize", constants, 2)
    if (
        attributes.get("mode") != b"nearest"
        or scales[:2] != [1, 1]
        or scales[2] % 1
        or scales[3] % 1
    ):
        raise ExportError(f"its Resize by {scales} is not nearest-neighbour by whole factors")
    factors = (scales[2], scales[3])
    return lambda x, *_: functional.interpolate(x, scale_factor=factors, mode="nearest")


def _constant(operator: str, constants: Constants, place: int) -> list[float]:
    values = constants[place] if place < len(constants) else None
    if values is None:
        raise ExportError(f"its operator {operator} has an input {place} that is not constant")
    return values


def _depth_to_space(attributes: Attributes, _: Constants) -> Operation:
    if attributes.get("mode", b"DCR") != b"CRD":
        raise ExportError("its operator DepthToSpace has the mode DCR, not CRD")
    factor = attributes["blocksize"]
    return lambda x: functional.pixel_shuffle(x, factor)


def _cast(attributes: Attributes, _: Constants) -> Operation:
    kind = attributes["to"]
    if kind not in {TensorProto.UINT8, TensorProto.FLOAT}:
        raise ExportError(f"its operator Cast makes {TensorProto.DataType.Name(kind)}")
    return Tensor.float  # whole pixels keep their values, and unrounded ones their gradients


def _plain(function: Operation) -> Callable[[Attributes, Constants], Operation]:
    """An operator without attributes."""
    return lambda *_: function


_OPERATORS: dict[str, Callable[[Attributes, Constants], Operation]] = {
    "Add": _plain(torch.add),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _plain(torch.clamp),
    "Concat": lambda attributes, _: lambda *x: torch.cat(x, dim=attributes["axis"]),
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "DepthToSpace": _depth_to_space,
    "Flatten": lambda attributes, _: lambda x: x.flatten(attributes.get("axis", 1)),
    "Gemm": _gemm,
    "Identity": _plain(lambda x: x),
    "LeakyRelu": lambda attributes, _: (
        lambda x: functional.leaky_relu(x, attributes.get("alpha", 0.01))
    ),
    "Mul": _plain(torch.mul),
    "Relu": _plain(functional.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Round": _plain(lambda x: x),
    "Selu": _plain(functional.selu),
    "Sigmoid": _plain(torch.sigmoid),
    "Softmax": lambda attributes, _: lambda x: x.softmax(attributes.get("axis", -1)),
    "Sub": _plain(torch.sub),
    "Tanh": _plain(torch.tanh),
    "Transpose": lambda attributes, _: lambda x: x.permute(*attributes["perm"]),
}
"""For each operator that is known, what makes its operation."""
