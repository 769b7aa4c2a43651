"""A generator as an ONNX graph, layer by layer.

The graph takes ``latents``, float32 ``(n, z)``, and gives ``pixels``, uint8 ``(n, height, width,
channels)``: scaling, rounding and layout are inside it. It is written here node by node, not
traced, so that it holds exactly these operators and nothing a tracer left behind.
"""

from collections.abc import Sequence
from functools import singledispatchmethod
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from app.artifact.card import INPUT, OUTPUT
from training.errors import ExportError

OPSET = 17
"""Any onnxruntime since 1.14 reads it."""
Layout = Literal["nchw", "nhwc"]
Attribute = float | str | Sequence[int]
Convolution = nn.Conv2d | nn.ConvTranspose2d


class Writer:
    """Adds the nodes of one layer after the other; ``value`` is the last layer's output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.value = INPUT

    def constant(self, values: Tensor | np.ndarray) -> str:
        """The name of an initialiser that holds ``values``."""
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Attribute) -> None:
        """Apply ``operator`` to ``value`` and further ``inputs``; an empty name leaves one out."""
        output = output or f"value_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(
                operator, [self.value, *inputs], [output], name=output, **dict[str, Any](attributes)
            )
        )
        self.value = output

    @singledispatchmethod
    def layer(self, layer: nn.Module) -> None:
        """Write one layer. Raises ExportError for a kind of layer that no method below knows."""
        raise ExportError(f"no ONNX form is known for the layer {layer}")

    @layer.register
    def _(self, layer: nn.Linear) -> None:
        self.node("Gemm", *self._weights(layer), transB=1)

    @layer.register
    def _(self, layer: nn.Unflatten) -> None:
        # Zero keeps the batch's length.
        shape = np.array([0, *layer.unflattened_size], dtype=np.int64)
        self.node("Reshape", self.constant(shape))

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
            raise ExportError(f"no ONNX form is known for the layer {layer}")
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
        """From ``lowest``…``highest`` to 0…255, channels last; halves round to even."""
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
    """The attributes that ONNX's Conv and ConvTranspose have in common."""
    return {
        "kernel_shape": layer.kernel_size,
        "strides": layer.stride,
        "pads": [int(side) for side in layer.padding] * 2,
        "dilations": layer.dilation,
        "group": layer.groups,
    }


def graph(
    generator: nn.Module,
    latent_width: int,
    image_shape: tuple[int, int, int],
    metadata: dict[str, str],
) -> bytes:
    """``generator`` (eval mode) as a serialised, checked ONNX model.

    ``image_shape`` is (height, width, channels). Raises ExportError for a layer without ONNX form.
    """
    writer = Writer()
    for layer in generator.children():
        writer.layer(layer)
    writer.pixels()
    return finished(writer, latent_width, image_shape, metadata)


def finished(
    writer: Writer,
    latent_width: int,
    image_shape: tuple[int, int, int],
    metadata: dict[str, str],
    opset: int = OPSET,
) -> bytes:
    """What ``writer`` wrote, from latents to pixels, as a serialised, checked model."""
    body = helper.make_graph(
        writer.nodes,
        "generator",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", latent_width])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, ["n", *image_shape])],
        writer.constants,
    )
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
