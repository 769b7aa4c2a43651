"""The inputs of another program's generator: latents, and perhaps classes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from app.artifact.card import CLASSES, INPUT
from training.errors import ExportError
from training.export.graph import GraphWriter
from training.gan.conditional import Rows

MAX_WIDTH, MAX_CLASSES = 4096, 1024
"""The most numbers of a latent, and the most classes, that a card allows."""
_FLAG = f"{CLASSES}="
"""What --input begins with."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a graph."""

    latents: onnx.ValueInfoProto
    classes: onnx.ValueInfoProto | None = None
    conditions: int = 0
    """Number of classes; 0 without classes."""

    @property
    def width(self) -> int:
        """Numbers in a latent."""
        return int(self.latents.type.tensor_type.shape.dim[1].dim_value)

    @property
    def is_flat(self) -> bool:
        """Whether its latents are ``(n, z)``, not ``(n, z, 1, 1)``."""
        return len(self.latents.type.tensor_type.shape.dim) == 2

    @property
    def takes_index(self) -> bool:
        """Whether it takes the index of a class, not a number for each class."""
        return self.classes is not None and _kind(self.classes) == "INT64"

    def feed(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """The values of the inputs, by name, for latents with their classes ``(n, z + k)``."""
        latents, classes = rows[:, : self.width], rows[:, self.width :]
        shape = latents.shape if self.is_flat else (*latents.shape, 1, 1)
        fed: dict[str, NDArray[Any]] = {self.latents.name: latents.reshape(shape)}
        if self.classes is not None:
            fed[self.classes.name] = classes.argmax(axis=1) if self.takes_index else classes
        return fed

    def counted(self, draw: Callable[[dict[str, NDArray[Any]]], object]) -> "Inputs":
        """These inputs with the number of classes, which ``draw`` reveals if it takes an index.

        Raises ExportError if ``draw`` accepts any index, or less than two.
        """
        if self.classes is None or not self.takes_index:
            return self
        fed = self.feed(np.zeros((1, self.width + 1), dtype=np.float32))
        for count in range(MAX_CLASSES + 1):
            try:
                draw({**fed, self.classes.name: np.array([count])})
            except ExportError as error:
                if count < 2:
                    found = "one class" if count else "no class"
                    raise ExportError(f"it draws {found}, not 2 or more: {error}") from error
                return replace(self, conditions=count)
        raise ExportError(
            f"its input {self.classes.name} accepts any index, so that the number of classes is "
            "unknown; export it with one number for each class"
        )

    def write(self, writer: GraphWriter, prefix: str) -> None:
        """Append nodes from our inputs to these, whose names begin with ``prefix`` there."""
        writer.conditions = self.conditions
        writer.value = INPUT
        if not self.is_flat:
            writer.node("Reshape", writer.constant(np.array([0, 0, 1, 1], dtype=np.int64)))
        writer.node("Identity", output=prefix + self.latents.name)
        if self.classes is not None:
            writer.value = CLASSES
            if self.takes_index:
                writer.node("ArgMax", axis=1, keepdims=0)
            writer.node("Identity", output=prefix + self.classes.name)


def find(model: onnx.ModelProto, named: str | None) -> Inputs:
    """The inputs of ``model``; ``named`` is ``classes=NAME`` if it has classes.

    Raises ExportError if there are others, or if their types or axes are not supported.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in weights}
    names = ", ".join(inputs)
    classes = None
    if named is not None:
        name = named.removeprefix(_FLAG)
        if name == named or name not in inputs:
            raise ExportError(f"--input {named}: must be {_FLAG}NAME with one of the names {names}")
        classes = inputs.pop(name)
    if len(inputs) != 1 or len(model.graph.output) != 1:
        outputs = ", ".join(value.name for value in model.graph.output)
        wanted, advice = "one of each: latents and images", ""
        if named:
            wanted = "two inputs, latents and classes, and one output, images"
        else:
            advice = f"; if one is the class of an image, name it: --input {_FLAG}NAME"
        raise ExportError(
            f"it has the inputs {names} and the outputs {outputs}, but must have {wanted}{advice}"
        )
    (latents,) = inputs.values()
    _check_latents(latents)
    return Inputs(latents, classes, _conditions(classes) if classes is not None else 0)


def free_batch_size(model: onnx.ModelProto, inputs: Inputs) -> None:
    """Make the first axis of all inputs and outputs of ``model`` variable."""
    values = [inputs.latents] if inputs.classes is None else [inputs.latents, inputs.classes]
    for one in (*values, *model.graph.output):
        if one.type.tensor_type.shape.dim:
            one.type.tensor_type.shape.dim[0].dim_param = "n"
    del model.graph.value_info[:]  # contains the old batch size
    del model.graph.input[:]
    model.graph.input.extend(values)


def _kind(value: onnx.ValueInfoProto) -> str:
    return str(TensorProto.DataType.Name(value.type.tensor_type.elem_type))


def _axes(value: onnx.ValueInfoProto) -> tuple[list[int], str]:
    """The axes of ``value``, unknown ones as 0, and all as text."""
    found = value.type.tensor_type.shape.dim
    text = ", ".join(str(axis.dim_param or axis.dim_value or "?") for axis in found)
    return [axis.dim_value for axis in found], f"({text})"


def _check_latents(value: onnx.ValueInfoProto) -> None:
    axes, text = _axes(value)
    if not axes:
        raise ExportError(f"its input {value.name} has no axes, not (n, z) or (n, z, 1, 1)")
    if _kind(value) != "FLOAT":
        raise ExportError(
            f"its input {value.name} is {_kind(value)} {text}, not FLOAT; export the network in "
            "float32"
        )
    if len(axes) not in {2, 4} or axes[2:] not in ([], [1, 1]) or not axes[1]:
        raise ExportError(
            f"its input {value.name} has the axes {text}, not (n, z) or (n, z, 1, 1) with a known "
            "z; export it with only the first axis dynamic"
        )
    if axes[1] > MAX_WIDTH:
        raise ExportError(f"its latents have {axes[1]} numbers, but at most {MAX_WIDTH} fit")


def _conditions(value: onnx.ValueInfoProto) -> int:
    """The number of classes; 0 if the input is the index of a class."""
    axes, text = _axes(value)
    if _kind(value) == "INT64" and len(axes) == 1:
        return 0
    if _kind(value) != "FLOAT" or len(axes) != 2 or not 2 <= axes[1] <= MAX_CLASSES:
        raise ExportError(
            f"its input {value.name} is {_kind(value)} {text}, not FLOAT (n, k) with a known k "
            f"from 2 to {MAX_CLASSES}, or INT64 (n)"
        )
    return axes[1]
