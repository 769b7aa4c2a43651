"""``adopt``: publishes another program's ONNX generator, with our inputs, outputs and card.

Its own nodes are unchanged. Nodes before them give the latents the shape that they expect; nodes
after them convert the image to uint8 with channels last.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, checker, compose, external_data_helper, inliner, version_converter

from app.artifact.card import DataSet, Image, Latent, Training
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents, Prior, from_seeds
from training.errors import ExportError
from training.export.cpu_session import run, session
from training.export.graph import OPSET, GraphWriter, Layout, finish
from training.export.publish import Provenance, Source

ValueRange = Literal["tanh", "sigmoid", "byte"]
"""Range of the generator's output: -1…1, 0…1 or 0…255."""

BOUNDS: dict[ValueRange, tuple[float, float]] = {
    "tanh": (-1, 1),
    "sigmoid": (0, 1),
    "byte": (0, 255),
}

_ONNX_DOMAINS = {"", "ai.onnx"}
_TEST_SEEDS = 16
_TOLERANCE = 0.01
"""How far values may exceed the range, relative to its width."""


class AdoptedGenerator:
    """A generator of another program."""

    def __init__(self, path: Path, value_range: ValueRange, layout: Layout) -> None:
        """Read ``path``. Raises ExportError with the reason if it is not a generator of images."""
        self.value_range, self.layout = value_range, layout
        self.model = _read(path)
        self.width, self._rank = _prepare_input(self.model)
        self._name = self.model.graph.input[0].name
        self._session = session(self.model.SerializeToString())

    def values(self, latents: Latents) -> NDArray[np.float32]:
        """The generator's own output for latents ``(n, z)``, computed one latent at a time."""
        shape = (1, self.width, *(1,) * (self._rank - 2))
        rows = (latents[k].reshape(shape) for k in range(len(latents)))
        return np.concatenate([run(self._session, {self._name: row}) for row in rows])

    def image(self, prior: Prior) -> Image:
        """The format of its images, found from a few of them. Raises ExportError if unsupported."""
        values = self.values(from_seeds(range(_TEST_SEEDS), self.width, prior))
        if values.dtype != np.float32 or values.ndim != 4:
            raise ExportError(
                f"its output is {values.dtype} {values.shape}, not float32 images (n, c, h, w)"
            )
        _, *axes = values.shape
        height, width, channels = axes if self.layout == "nhwc" else (*axes[1:], axes[0])
        if channels not in {1, 3}:
            raise ExportError(
                f"its output {values.shape} has {channels} channels as --layout {self.layout}, "
                f"not 1 or 3"
            )
        lowest, highest = BOUNDS[self.value_range]
        slack = _TOLERANCE * (highest - lowest)
        if values.min() < lowest - slack or values.max() > highest + slack:
            raise ExportError(
                f"its output has values from {values.min():.3g} to {values.max():.3g}, but "
                f"--range {self.value_range} means from {lowest} to {highest}"
            )
        return Image(height=height, width=width, channels=channels)

    def draw(self, latents: Latents) -> Pixels:
        """Its pixels, uint8 ``(n, height, width, channels)``, computed without the new graph."""
        lowest, highest = BOUNDS[self.value_range]
        scaled = (self.values(latents) - np.float32(lowest)) * np.float32(255 / (highest - lowest))
        pixels: Pixels = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        return pixels if self.layout == "nhwc" else pixels.transpose(0, 2, 3, 1)

    def graph(self, image: Image, metadata: dict[str, str]) -> bytes:
        """The new graph: its nodes between our input and our output."""
        inner = compose.add_prefix(self.model, "adopted_").graph
        writer = GraphWriter()
        if self._rank == 4:
            writer.node("Reshape", writer.constant(np.array([0, 0, 1, 1], dtype=np.int64)))
        writer.node("Identity", output=inner.input[0].name)
        writer.nodes += inner.node
        writer.constants += inner.initializer
        writer.value = inner.output[0].name
        writer.pixels(*BOUNDS[self.value_range], layout=self.layout)
        shape = (image.height, image.width, image.channels)
        return finish(writer, self.width, shape, metadata, opset(self.model))


def source(
    path: Path, prior: Prior, dataset: DataSet, value_range: ValueRange, layout: Layout
) -> Source:
    """The generator in the ONNX file ``path``. Raises ExportError if it cannot be served."""
    adopted = AdoptedGenerator(path, value_range, layout)
    image = adopted.image(prior)
    options = {"adopted": path.name, "range": value_range, "layout": layout}
    training = Training(options=options, epochs=0, steps=0, seconds=0, device="unknown")
    return Source(
        latent=Latent(width=adopted.width, prior=prior),
        image=image,
        provenance=Provenance(dataset, training, {}),
        opset=opset(adopted.model),
        graph=lambda metadata: adopted.graph(image, metadata),
        draw=adopted.draw,
    )


def _read(path: Path) -> onnx.ModelProto:
    """The model in ``path``, converted to our opset if it is older.

    Raises ExportError if it is not a valid model in one file with standard operators only.
    """
    try:
        model = inliner.inline_local_functions(onnx.load(path, load_external_data=False))
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror}") from error
    except Exception as error:  # protobuf has no error class for files of other formats
        raise ExportError(f"{path}: not an ONNX model: {error}") from error
    if any(external_data_helper.uses_external_data(t) for t in model.graph.initializer):
        raise ExportError(f"{path}: stores its weights in other files; save the model as one file")
    domains = {node.domain for node in model.graph.node} - _ONNX_DOMAINS
    if domains:
        raise ExportError(
            f"{path}: has operators of {', '.join(sorted(domains))}; only standard ONNX operators "
            "are supported"
        )
    try:
        if opset(model) < OPSET:
            model = version_converter.convert_version(model, OPSET)
        checker.check_model(model, full_check=True)
    except Exception as error:  # the converter and the checker have no common error class
        raise ExportError(f"{path}: not a valid ONNX model: {error}") from error
    return model


def opset(model: onnx.ModelProto) -> int:
    """The version of the standard operators that ``model`` uses."""
    return max(int(known.version) for known in model.opset_import if known.domain in _ONNX_DOMAINS)


def _prepare_input(model: onnx.ModelProto) -> tuple[int, int]:
    """The width and the rank of the model's only input. Makes its batch size variable."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        names = [value.name for value in (*inputs, *model.graph.output)]
        raise ExportError(f"it has the inputs and outputs {names}, but must have one of each")
    tensor = inputs[0].type.tensor_type
    shape = [axis.dim_value for axis in tensor.shape.dim]
    fits = len(shape) == 2 or (len(shape) == 4 and shape[2:] == [1, 1])
    if tensor.elem_type != TensorProto.FLOAT or not fits or shape[1] < 1:
        kind = TensorProto.DataType.Name(tensor.elem_type)
        raise ExportError(
            f"its input {inputs[0].name} is {kind} {shape}, not FLOAT (n, z) or (n, z, 1, 1)"
        )
    for value in (inputs[0], model.graph.output[0]):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "n"
    del model.graph.input[:]
    model.graph.input.append(inputs[0])
    return shape[1], len(shape)
