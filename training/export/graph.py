"""Writes a generator as an ONNX graph, layer by layer.

The graph maps ``latents``, float32 ``(n, z)``, to ``pixels``, uint8 ``(n, height, width,
channels)``, including scaling, rounding and layout. A conditional one also takes ``classes``,
float32 ``(n, k)``. It is written node by node instead of traced,
so that it has exactly these operators and none that a tracer adds.
"""

from collections.abc import Sequence
from functools import singledispatchmethod
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from app.artifact.card import CLASSES, INPUT, OUTPUT
from training.errors import ExportError
from training.gan.residual import Residual

OPSET = 17
"""The ONNX operator set; onnxruntime supports it since version 1.14."""
Layout = Literal["nchw", "nhwc"]
Attribute = float | str | Sequence[int]
Convolution = nn.Conv2d | nn.ConvTranspose2d


class GraphWriter:
    """Appends nodes to a graph; ``value`` is the name of the last node's output."""

    def __init__(self, conditions: int = 0) -> None:
        """With ``conditions``, append the second input, of that width, to the latents."""
        self.conditions = conditions
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.value = INPUT
        if conditions:
            self.node("Concat", CLASSES, axis=1)

    def constant(self, values: Tensor | np.ndarray) -> str:
        """Add an initialiser with ``values``; returns its name."""
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Attribute) -> None:
        """Append a node with the inputs ``value`` and ``inputs``; an empty name omits an input."""
        output = output or f"value_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(
                operator, [self.value, *inputs], [output], name=output, **dict[str, Any](attributes)
            )
        )
        self.value = output

    @singledispatchmethod
    def layer(self, layer: nn.Module) -> None:
        """Append one layer. Raises ExportError for a kind of layer that is not supported."""
        raise ExportError(f"the layer {layer} cannot be written as ONNX")

    @layer.register
    def _(self, layer: nn.Linear) -> None:
        self.node("Gemm", *self._weights(layer), transB=1)

    @layer.register
    def _(self, layer: nn.Unflatten) -> None:
        # Zero keeps the batch size.
        shape = np.array([0, *layer.unflattened_size], dtype=np.int64)
        self.node("Reshape", self.constant(shape))

    @layer.register
    def _(self, layer: nn.Flatten) -> None:
        self.node("Flatten", axis=layer.start_dim)

    @layer.register
    def _(self, layer: nn.BatchNorm2d) -> None:
        statistics = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
        names = [self.constant(values) for values in statistics if values is not None]
        self.node("BatchNormalization", *names, epsilon=layer.eps)

    @layer.register
    def _(self, layer: nn.ConvTranspose2d) -> None:
        attributes = {**_convolution(layer), "output_padding": layer.output_padding}
        self.node("ConvTranspose", *self._weights(layer), **attributes)

    @layer.register
    def _(self, layer: nn.Conv2d) -> None:
        self.node("Conv", *self._weights(layer), **_convolution(layer))

    def _weights(self, layer: nn.Linear | Convolution) -> list[str]:
        weights = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
        return [self.constant(values) for values in weights]

    @layer.register
    def _(self, layer: nn.Upsample) -> None:
        if layer.mode != "nearest" or not isinstance(layer.scale_factor, float):
            raise ExportError(f"the layer {layer} cannot be written as ONNX")
        scales = np.array([1, 1, layer.scale_factor, layer.scale_factor], dtype=np.float32)
        self.node(
            "Resize",
            "",
            self.constant(scales),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    @layer.register
    def _(self, layer: nn.PixelShuffle) -> None:
        self.node("DepthToSpace", blocksize=layer.upscale_factor, mode="CRD")

    @layer.register
    def _(self, layer: Residual) -> None:
        before = self.value
        for inner in layer:
            self.layer(inner)
        self.node("Add", before)

    @layer.register
    def _(self, _: nn.ReLU) -> None:
        self.node("Relu")

    @layer.register
    def _(self, layer: nn.LeakyReLU) -> None:
        self.node("LeakyRelu", alpha=layer.negative_slope)

    @layer.register
    def _(self, _: nn.SELU) -> None:
        self.node("Selu")  # alpha and gamma are ONNX's defaults

    @layer.register
    def _(self, _: nn.Tanh) -> None:
        self.node("Tanh")

    def pixels(self, lowest: float = -1, highest: float = 1, layout: Layout = "nchw") -> None:
        """Scale ``lowest``…``highest`` to 0…255, round halves to even, put the channels last."""
        self.node("Sub", self.constant(np.array(lowest, dtype=np.float32)))
        scale = 255 / (highest - lowest)
        self.node("Mul", self.constant(np.array(scale, dtype=np.float32)))
        self.node("Round")
        limits = np.array(0, dtype=np.float32), np.array(255, dtype=np.float32)
        self.node("Clip", *map(self.constant, limits))
        self.node("Cast", to=TensorProto.UINT8, output=OUTPUT if layout == "nhwc" else "")
        if layout == "nchw":
            self.node("Transpose", perm=(0, 2, 3, 1), output=OUTPUT)


def _convolution(layer: Convolution) -> dict[str, Any]:
    """The attributes that ONNX's Conv and ConvTranspose share."""
    return {
        "kernel_shape": layer.kernel_size,
        "strides": layer.stride,
        "pads": [int(side) for side in layer.padding] * 2,
        "dilations": layer.dilation,
        "group": layer.groups,
    }


def build_graph(
    generator: nn.Module,
    latent_width: int,
    image_shape: tuple[int, int, int],
    metadata: dict[str, str],
    conditions: int = 0,
) -> bytes:
    """``generator`` (eval mode) as a serialised, checked ONNX model.

    ``image_shape`` is (height, width, channels). A conditional generator's condition has
    ``conditions`` numbers. Raises ExportError for an unsupported layer.
    """
    writer = GraphWriter(conditions)
    for layer in generator.children():
        writer.layer(layer)
    writer.pixels()
    return finish(writer, latent_width, image_shape, metadata)


def finish(
    writer: GraphWriter,
    latent_width: int,
    image_shape: tuple[int, int, int],
    metadata: dict[str, str],
    opset: int = OPSET,
) -> bytes:
    """The graph of ``writer``, from latents to pixels, as a serialised, checked ONNX model."""
    conditions = {CLASSES: writer.conditions} if writer.conditions else {}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in {INPUT: latent_width, **conditions}.items()
    ]
    pixels = helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, ["n", *image_shape])
    body = helper.make_graph(writer.nodes, "generator", inputs, [pixels], writer.constants)
    return serialised(body, metadata, opset)


def serialised(body: onnx.GraphProto, metadata: dict[str, str], opset: int = OPSET) -> bytes:
    """``body`` as a serialised, checked ONNX model."""
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=helper.OP_SET_ID_VERSION_MAP["ai.onnx", opset],
        producer_name="dcgan-server",
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content
