"""``adopt``: publishes another program's ONNX generator, with our inputs, outputs and card.

Its own nodes are unchanged. Nodes before them give latents and classes the form that they expect;
nodes after them convert the image to uint8 with channels last.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import compose

from app.artifact.card import DataSet, Image, ImageClass, Latent, Training, sampler_of
from app.imaging.sheets import Pixels
from app.latent.sampling import Prior
from training.errors import ExportError
from training.export import onnx_file, onnx_inputs
from training.export.cpu_session import run, session
from training.export.graph import GraphWriter, Layout, finish
from training.export.publish import Provenance, Source
from training.gan.conditional import Rows, rows_of

ValueRange = Literal["tanh", "sigmoid", "byte"]
"""Range of the generator's output: -1…1, 0…1 or 0…255."""

BOUNDS: dict[ValueRange, tuple[float, float]] = {
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "byte": (0, 255),
}
"""From the narrowest to the widest."""

_TEST_SEEDS = 16
_TOLERANCE = 0.01
"""How far values may exceed the range that was named, relative to its width."""
_EXACT = 1e-4
"""The same for another range, before it is suggested."""
_SAME = 1e-3
"""How far values may differ between batch sizes, relative to the width of the range."""
_MAX_SIZE = 1024
"""Height and width of the largest images that a card allows."""
_PREFIX = "adopted_"
"""What its names begin with in the new graph."""


@dataclass(frozen=True)
class Options:
    """What the graph does not say."""

    range: ValueRange = "tanh"
    layout: Layout = "nchw"
    input: str | None = None
    """``classes=NAME`` if the generator is conditional."""


class AdoptedGenerator:
    """A generator of another program."""

    def __init__(self, path: Path, options: Options) -> None:
        """Read ``path``. Raises ExportError with the reason if it is not a generator of images."""
        self.value_range, self.layout = options.range, options.layout
        self.model = onnx_file.read(path, lambda model: onnx_inputs.find(model, options.input))
        inputs = onnx_inputs.find(self.model, options.input)
        onnx_inputs.free_batch_size(self.model, inputs)
        self._session = session(self.model.SerializeToString())
        self.inputs = inputs.counted(lambda fed: run(self._session, fed))

    @property
    def classes(self) -> list[ImageClass] | None:
        """Its classes, by their indices, all equally frequent; None if it has none."""
        count = self.inputs.conditions
        return [ImageClass(name=str(k), share=1 / count) for k in range(count)] or None

    def values(self, rows: Rows) -> NDArray[np.float32]:
        """The generator's own output for rows ``(n, z + k)``, computed as one batch."""
        return run(self._session, self.inputs.feed(rows))

    def image(self, prior: Prior) -> Image:
        """The format of its images, found from a few of them. Raises ExportError if unsupported."""
        latent = Latent(width=self.inputs.width, prior=prior)
        latents = rows_of(range(_TEST_SEEDS), latent, sampler_of(self.classes, None))
        image = self._format(self._single(latents[:1]))
        rows = [self._single(latents[k : k + 1]) for k in range(_TEST_SEEDS)]
        if len({row.shape for row in rows}) > 1:
            raise ExportError("draws images of several sizes")
        values = np.concatenate(rows)
        self._check_range(values)
        if self.inputs.conditions:
            self._check_classes(latents)
        self._check_batches(latents[:2], values[:2])
        return image

    def _single(self, latent: Rows) -> NDArray[np.float32]:
        """The output for one latent ``(1, z)``."""
        try:
            return self.values(latent)
        except ExportError as error:
            raise ExportError(
                "it cannot draw a single image, perhaps because its batch size is fixed "
                f"at another; {self._remedy()}: {error}"
            ) from error

    def _format(self, values: NDArray[np.float32]) -> Image:
        """The format of the image in ``values``, the output for one latent."""
        name = self.model.graph.output[0].name
        axes = "(n, h, w, c)" if self.layout == "nhwc" else "(n, c, h, w)"
        if values.dtype != np.float32 or values.ndim != 4 or len(values) != 1:
            raise ExportError(
                f"its output {name} is {values.dtype} {_text(values.shape)} for one latent, not "
                f"float32 {axes} with n = 1"
            )
        _, *rest = values.shape
        height, width, channels = rest if self.layout == "nhwc" else (*rest[1:], rest[0])
        if channels not in {1, 3}:
            other, fits = ("nchw", rest[0]) if self.layout == "nhwc" else ("nhwc", rest[2])
            advice = f"; use --layout {other}" if fits in {1, 3} else ""
            raise ExportError(
                f"its output {_text(values.shape)} has {channels} channels as --layout "
                f"{self.layout}, not 1 or 3{advice}"
            )
        if not 1 <= min(height, width) <= max(height, width) <= _MAX_SIZE:
            raise ExportError(
                f"draws {height}×{width}, but images have from 1 to {_MAX_SIZE} pixels"
            )
        return Image(height=height, width=width, channels=channels)

    def _check_range(self, values: NDArray[np.float32]) -> None:
        """Raise ExportError unless ``values`` look as if they had the named range."""
        if not np.isfinite(values).all():
            raise ExportError("draws NaN or infinite values, so that its images show nothing")
        if (values == values[0]).all():
            raise ExportError("draws the same image for every latent")
        found = f"its output has values from {values.min():.3g} to {values.max():.3g}"
        lowest, highest = BOUNDS[self.value_range]
        slacks = {name: _TOLERANCE if name == self.value_range else _EXACT for name in BOUNDS}
        fitting = next((name for name in BOUNDS if _within(values, name, slacks[name])), None)
        if fitting is None:
            raise ExportError(
                f"{found}, but --range {self.value_range} means from {lowest} to {highest}; does "
                "it lack its last activation?"
            )
        if fitting != self.value_range:
            raise ExportError(
                f"{found}, but --range {self.value_range} means from {lowest} to {highest}; use "
                f"--range {fitting}"
            )

    def _check_classes(self, rows: Rows) -> None:
        """Raise ExportError if latents of one class, or classes of one latent, change nothing."""
        width = self.inputs.width
        for varied, columns in (("latent", slice(width)), ("class", slice(width, None))):
            changed = rows[:1].repeat(len(rows), axis=0)
            changed[:, columns] = rows[:, columns]
            values = [self._single(changed[k : k + 1]) for k in range(len(changed))]
            if all((one == values[0]).all() for one in values):
                raise ExportError(f"draws the same image for every {varied}")

    def _check_batches(self, latents: Rows, values: NDArray[np.float32]) -> None:
        """Raise ExportError unless it gives ``values`` for all latents in one batch, too."""
        try:
            together = self.values(latents)
        except ExportError as error:
            raise ExportError(
                "draws one image at a time, because its batch size is fixed at one; "
                f"{self._remedy()}"
            ) from error
        if together.shape != values.shape:
            raise ExportError(
                f"draws {_text(together.shape)} for two latents, because its batch size is fixed "
                f"at one; {self._remedy()}"
            )
        lowest, highest = BOUNDS[self.value_range]
        if np.abs(together - values).max() > _SAME * (highest - lowest):
            raise ExportError(
                "the image of a latent depends on the others of its batch; export the network in "
                "eval mode: netG.eval()"
            )

    def _remedy(self) -> str:
        name = self.inputs.latents.name
        return (
            "export it with a free batch size, in torch.onnx.export by dynamic_shapes="
            "({0: torch.export.Dim.DYNAMIC},), or with dynamo=False by "
            f"dynamic_axes={{'{name}': {{0: 'n'}}}} and input_names=['{name}']"
        )

    def draw(self, latents: Rows) -> Pixels:
        """Its pixels, uint8 ``(n, height, width, channels)``, one by one, by the old graph."""
        lowest, highest = BOUNDS[self.value_range]
        images = []
        for k in range(len(latents)):
            scaled = self.values(latents[k : k + 1]) - np.float32(lowest)
            scaled *= np.float32(255 / (highest - lowest))
            images.append(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
        pixels: Pixels = np.concatenate(images)
        return pixels if self.layout == "nhwc" else pixels.transpose(0, 2, 3, 1)

    def graph(self, image: Image, metadata: dict[str, str]) -> bytes:
        """The new graph: its nodes between our input and our output."""
        inner = compose.add_prefix(self.model, _PREFIX).graph
        writer = GraphWriter()
        self.inputs.write(writer, _PREFIX)
        writer.nodes += inner.node
        writer.constants += inner.initializer
        writer.value = inner.output[0].name
        writer.pixels(*BOUNDS[self.value_range], layout=self.layout)
        shape = (image.height, image.width, image.channels)
        return finish(writer, self.inputs.width, shape, metadata, onnx_file.opset(self.model))


def source(path: Path, prior: Prior, dataset: DataSet, options: Options) -> Source:
    """The generator in the ONNX file ``path``. Raises ExportError if it cannot be served."""
    adopted = AdoptedGenerator(path, options)
    image = adopted.image(prior)
    described = {"adopted": path.name, "range": options.range, "layout": options.layout}
    training = Training(options=described, epochs=0, steps=0, seconds=0, device="unknown")
    return Source(
        latent=Latent(width=adopted.inputs.width, prior=prior),
        image=image,
        provenance=Provenance(dataset, training, {}, classes=adopted.classes),
        opset=onnx_file.opset(adopted.model),
        graph=lambda metadata: adopted.graph(image, metadata),
        draw=adopted.draw,
    )


def _within(values: NDArray[np.float32], name: ValueRange, slack: float) -> bool:
    """Whether ``values`` lie in the range; as bytes, those of tanh would all be black."""
    lowest, highest = BOUNDS[name]
    width = highest - lowest
    inside = values.min() >= lowest - slack * width and values.max() <= highest + slack * width
    return bool(inside and (name != "byte" or np.abs(values).max() > _TOLERANCE * width))


def _text(axes: tuple[object, ...]) -> str:
    return f"({', '.join(map(str, axes))})"
