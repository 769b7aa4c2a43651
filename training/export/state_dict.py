"""``import``: publishes a generator of PyTorch's DCGAN example or tutorial from its state dict.

Both are one ``nn.Sequential``: transposed 4×4 convolutions, the first from a 1×1 map to 4×4, each
further one doubling the size; batch norm and ReLU between them, and tanh at the end. What has no
tensors is not in the file: options name it, or else it is what the example has.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn

from app.artifact.card import DataSet, Image, Latent, Training
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents, Prior, from_seeds
from training.config import Activation
from training.errors import ExportError
from training.export import checkpoint_file, sequential
from training.export.checkpoint_file import State
from training.export.folding import Tensors
from training.export.options import ImportOptions
from training.export.publish import Provenance, Source, source_of_network
from training.export.sequential import ADOPT, Layer
from training.export.verification import verify
from training.gan.pixels import to_pixels

_KERNEL = 4
_MAX_WIDTH, _MAX_DOUBLINGS = 4096, 8
"""The widest latents, and the doublings from 4×4 to the largest images, that a card allows."""
_CROPS = (0, 2, 4)
"""Pixels by which the padding of the last layer may reduce the image size."""
_TRIAL_SEEDS = 16
_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": lambda: nn.LeakyReLU(0.2),
    "selu": nn.SELU,
}
_NAMES: dict[Activation, str] = {"relu": "ReLU", "leaky": "LeakyReLU(0.2)", "selu": "SELU"}


class Generator:
    """The generator in a state dict, except for what has no tensors."""

    def __init__(self, state: State) -> None:
        """Raise ExportError with the name of a tensor that does not fit."""
        self.layers = sequential.layers(state)
        """Its layers that have tensors, in the order in which they run."""
        convolutions = [layer for layer in self.layers if not layer.is_norm]
        self._first, self._last = convolutions[0], convolutions[-1]
        self.width, self.channels = self._check_shapes()
        doublings = len(convolutions) - 1
        if not 1 <= doublings <= _MAX_DOUBLINGS:
            raise ExportError(
                f"{self._last.name}: is convolution {doublings + 1}, but a generator has from 2 "
                f"(8×8 pixels) to {_MAX_DOUBLINGS + 1} (1024×1024)"
            )
        self.sizes = [_KERNEL * 2**doublings - crop for crop in _CROPS]
        """The image sizes that its last layer may give; the first is the example's."""

    def _check_shapes(self) -> tuple[int, int]:
        """The width of the latents and the channels of the images."""
        weight = self._first.tensors["weight"]
        channels = width = weight.shape[0] if weight.ndim else 0
        for layer in self.layers:
            vectors = set(layer.tensors)
            if not layer.is_norm:
                vectors.remove("weight")
                channels = _check_weight(layer, channels)
            for name in sorted(vectors):
                _check_shape(layer, name, (channels,))
        if channels not in {1, 3}:
            raise ExportError(
                f"{self._last.name}.weight: has {channels} output channels, not 1 or 3"
            )
        if width > _MAX_WIDTH:
            raise ExportError(
                f"{self._first.name}.weight: the latents have {width} numbers, but at most "
                f"{_MAX_WIDTH} are supported"
            )
        return width, channels

    def size(self, options: ImportOptions) -> int:
        """The height and width of its images. Raises ExportError if it cannot have that size."""
        size = options.image_size or self.sizes[0]
        if size not in self.sizes:
            allowed = ", ".join(map(str, self.sizes))
            raise ExportError(
                f"--image-size {size}: this generator draws images of one of the sizes {allowed}"
            )
        return size

    def network(self, options: ImportOptions) -> nn.Sequential:
        """The network in eval mode, from latents ``(n, z)`` to images in [-1, 1].

        What has no tensors is as ``options`` say.
        """
        modules: list[nn.Module] = [nn.Unflatten(1, (self.width, 1, 1))]
        for layer in self.layers:
            if layer.is_norm:
                channels = len(layer.tensors["weight"])
                modules.append(_loaded(nn.BatchNorm2d(channels, options.norm_eps), layer.tensors))
                continue
            if layer is not self._first:
                modules.append(_ACTIVATIONS[options.activation]())
            modules.append(self._convolution(layer, options))
        return nn.Sequential(*modules, nn.Tanh()).eval()

    def _convolution(self, layer: Layer, options: ImportOptions) -> nn.Module:
        tensors = layer.tensors
        stride, padding = (1, 0) if layer is self._first else (2, 1)
        if layer is self._last:
            padding += (self.sizes[0] - self.size(options)) // 2
            if options.range == "sigmoid":
                # sigmoid(x) = (1 + tanh(x / 2)) / 2: half the weights give the same pixels by tanh.
                tensors = {name: tensor / 2 for name, tensor in tensors.items()}
        channels_in, channels_out = tensors["weight"].shape[:2]
        convolution = nn.ConvTranspose2d(
            channels_in, channels_out, _KERNEL, stride, padding, bias="bias" in tensors
        )
        return _loaded(convolution, tensors)

    def draw(self, options: ImportOptions) -> Callable[[Latents], Pixels]:
        """A function that draws the pixels of latents with ``network``."""
        network = self.network(options)
        return lambda latents: to_pixels(network, torch.from_numpy(latents))


def source(path: Path, prior: Prior, dataset: DataSet, options: ImportOptions) -> Source:
    """The generator in the checkpoint ``path``.

    Only tensors are read from the file, so it cannot run code. Raises ExportError with the name of
    a tensor that does not fit, and if its images are not those that ``options`` name.
    """
    generator = find(path, options.key)
    latent, size = Latent(width=generator.width, prior=prior), generator.size(options)
    image = Image(height=size, width=size, channels=generator.channels)
    network = generator.network(options)
    with torch.no_grad():
        values = network(torch.from_numpy(from_seeds(range(_TRIAL_SEEDS), latent.width, prior)))
    if not values.isfinite().all():
        raise ExportError(f"{path}: draws NaN: some of its weights are too large")
    verified = verify(generator.draw, generator.sizes, latent, image, options)
    return source_of_network(
        network,
        latent,
        image,
        Provenance(dataset, _training(path, latent, size, options), {}),
        notes=[_assumptions(size, options), *verified],
    )


def find(path: Path, key: str | None) -> Generator:
    """The only generator in the checkpoint ``path``, or the one at ``key``.

    Raises ExportError if there is none or more than one.
    """
    content = checkpoint_file.read(path)
    states = checkpoint_file.at_key(content, key) if key else checkpoint_file.networks(content)
    if not states:
        where = f"nothing at --key {key}" if key else f"a {type(content).__name__}"
        raise ExportError(f"{path}: contains {where}, not a state dict")
    found: dict[str, Generator] = {}
    problems: dict[str, str] = {}
    for name, state in states.items():
        try:
            found[name] = Generator(state)
        except ExportError as error:
            problems[name] = str(error)
    if len(found) > 1:
        raise ExportError(f"{path}: contains several generators: choose one of {_keys(found)}")
    if not found:
        largest = max(states, key=lambda name: len(states[name]))
        others = f"; it also contains {_keys(states)}" if len(states) > 1 else ""
        raise ExportError(f"{path}: {problems[largest]}{others}")
    return found.popitem()[1]


def _keys(states: Iterable[str]) -> str:
    return ", ".join(f"--key {name}" for name in sorted(states))


def _assumptions(size: int, options: ImportOptions) -> str:
    """What the network has that is not in the file."""
    return (
        f"assumed what a state dict does not say: {size}×{size}, "
        f"{_NAMES[options.activation]}, {options.range}, eps {options.norm_eps:g}"
    )


def _training(path: Path, latent: Latent, size: int, options: ImportOptions) -> Training:
    described = options.model_dump(include={"activation", "norm_eps", "range"})
    verified = [path.name for path in (options.check, options.reference) if path]
    return Training(
        options={
            "imported": path.name,
            "latent_dim": latent.width,
            "image_size": size,
            **described,
            "verified_with": verified,
        },
        epochs=0,
        steps=0,
        seconds=0,
        device="unknown",
    )


def _check_weight(layer: Layer, channels: int) -> int:
    """The output channels of a convolution with ``channels`` inputs."""
    weight = layer.tensors["weight"]
    channels_out = weight.shape[1] if weight.ndim == 4 else "n"
    _check_shape(layer, "weight", (channels or "z", channels_out, _KERNEL, _KERNEL))
    return weight.shape[1]


def _check_shape(layer: Layer, name: str, expected: tuple[int | str, ...]) -> None:
    if (found := tuple(layer.tensors[name].shape)) != expected:
        shape = str(expected).replace("'", "")
        raise ExportError(f"{layer.name}.{name}: has the shape {found}, not {shape}; {ADOPT}")


def _loaded(layer: nn.Module, tensors: Tensors) -> nn.Module:
    layer.load_state_dict(tensors, strict=False)  # only training uses num_batches_tracked
    return layer
