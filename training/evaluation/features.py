"""Feature networks: small classifiers whose last hidden layer gives the features of images.

Such a network is trained on the classes of the data set itself, or on the attributes of its images,
so that its features represent the differences between these images. A Fréchet distance on its
features is therefore not the FID, which is defined on Inception's features.
"""

import copy
import io
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.artifact.card import digest
from training.data import idx
from training.data.avatars.faces import ATTRIBUTES
from training.errors import EvaluationError
from training.evaluation.rotations import ROTATIONS
from training.gan import hardware
from training.gan.pixels import BATCH, Track, scaled

FEATURES = 64
"""Width of the features: few enough that 10,000 images estimate their covariance well."""

_FULL_RESOLUTION = 32
"""Largest height or width at which the first convolution has stride 1."""
_HALVED_RESOLUTION = 64
"""Largest height or width for which three blocks are enough."""

Labels = NDArray[Any]
"""The class of each image, integer ``(n,)``, or which of k attributes it has, bool ``(n, k)``."""


@dataclass(frozen=True)
class NetworkSpec:
    """A feature network, whose weights are in a file: the shipped ones beside this module."""

    dataset: str
    image_shape: tuple[int, int, int]
    """(channels, height, width)."""
    names: tuple[str, ...]
    """Names of the classes or attributes that it predicts; empty if it was trained without."""
    exclusive: bool
    """True for classes, of which an image has one; False for attributes, which are independent."""
    sha256: str
    accuracy: float | None
    """Accuracy on the test images; for attributes, the mean over all attributes."""
    file: Path | None = None
    """The file of the weights; None for the shipped one."""

    @property
    def path(self) -> Path:
        """The file of the weights."""
        return self.file or Path(__file__).with_name(f"{self.dataset}.pt")

    @property
    def outputs(self) -> int:
        """Outputs of the head: one for each name, or for each rotation if there are none."""
        return len(self.names) or ROTATIONS

    @property
    def description(self) -> str:
        """The description of the features in a protocol."""
        return f"the {FEATURES} features of {self.path.name} (SHA-256 {self.sha256[:12]}…)"

    def predict(self, logits: Tensor) -> Tensor:
        """The likeliest class, or every attribute likelier than not, from ``logits`` ``(n, k)``.

        Without names the result is ``(n, 0)``.
        """
        if not self.names:
            return logits[:, :0]
        return logits.argmax(dim=1) if self.exclusive else logits > 0


FASHION_MNIST = NetworkSpec(
    dataset="fashion-mnist",
    image_shape=(1, 28, 28),
    names=idx.FASHION_MNIST.classes,
    exclusive=True,
    sha256="4c7ef5e221052d0370b911827f5b335b54746fdd9f3fdc7298c683467c8830f1",
    accuracy=0.9388,
)

MNIST = NetworkSpec(
    dataset="mnist",
    image_shape=(1, 28, 28),
    names=idx.MNIST.classes,
    exclusive=True,
    sha256="4cc18860970a5e2bd04d6b009e96c5df308cbe5a53970190e461e23ab7b6d09a",
    accuracy=0.9968,
)

AVATARS = NetworkSpec(
    dataset="avatars",
    image_shape=(3, 64, 64),
    names=tuple(ATTRIBUTES),
    exclusive=False,
    sha256="326fbd47064d95dcdf19b562f4ec0c1d49d5301c342e1d67c315ea1bd0470502",
    accuracy=0.9991,
)

NETWORKS = {spec.dataset: spec for spec in (FASHION_MNIST, MNIST, AVATARS)}
"""The shipped feature networks, by data set."""


class Extracted(NamedTuple):
    """The features and the predicted labels of images."""

    features: NDArray[np.float32]
    """``(n, FEATURES)``."""
    labels: Labels


def spec_for(dataset: str, image_shape: tuple[int, ...]) -> NetworkSpec | None:
    """The feature network for images (c, h, w) of ``dataset``; None if there is none."""
    spec = NETWORKS.get(dataset)
    return spec if spec and spec.image_shape == image_shape else None


def build(image_shape: tuple[int, int, int], outputs: int) -> nn.Sequential:
    """A network from images ``(n, *image_shape)`` in [-1, 1] to logits ``(n, outputs)``.

    Its child ``body`` computes the features ``(n, FEATURES)``, its child ``head`` the logits from
    them. The body has three blocks of two 3×3 convolutions (Simonyan and Zisserman 2015, arXiv
    1409.1556, section 2) with batch norm. The first convolution halves images of more than 32 rows
    or columns, which would otherwise take four times as long; more than 64 rows or columns are
    halved again by a block of fewer filters in front, and so on. The features are taken before
    their ReLU, which would cut off half of each distribution that the Fréchet distance models as a
    Gaussian. The last batch norm has no scale, so that all features have equal weight.
    """
    channels_in, height, width = image_shape
    stride = 2 if max(height, width) > _FULL_RESOLUTION else 1
    halvings = max(0, math.ceil(math.log2(max(height, width) / _HALVED_RESOLUTION)))
    blocks = [32 >> n for n in range(halvings, 0, -1)] + [32, 64, 128]
    reduction = stride << len(blocks)
    body: list[nn.Module] = []
    for filters in blocks:
        for _ in range(2):
            body += [
                nn.Conv2d(channels_in, filters, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(filters),
                nn.ReLU(),
            ]
            channels_in, stride = filters, 1
        body.append(nn.MaxPool2d(2, ceil_mode=True))
    positions = -(-height // reduction) * -(-width // reduction)
    body += [
        nn.Flatten(),
        nn.Linear(channels_in * positions, FEATURES, bias=False),
        nn.BatchNorm1d(FEATURES, affine=False),
    ]
    head = nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, outputs))
    return nn.Sequential(OrderedDict(body=nn.Sequential(*body), head=head))


def pack(network: nn.Sequential) -> bytes:
    """The weights of ``network`` as the content of a file, in half precision to halve its size.

    The bytes depend on the weights only, not on the file's name.
    """
    buffer = io.BytesIO()
    torch.save(halved(network), buffer)
    return buffer.getvalue()


def halved(network: nn.Sequential) -> dict[str, Tensor]:
    """The weights of ``network`` in half precision, on the CPU."""
    return {
        name: values.half() if values.is_floating_point() else values
        for name, values in network.cpu().state_dict().items()
    }


def unpack(content: bytes, spec: NetworkSpec) -> nn.Sequential:
    """The network with the weights in ``content``: float32, in eval mode, on the CPU."""
    return with_weights(torch.load(io.BytesIO(content), weights_only=True), spec)


def with_weights(state: dict[str, Tensor], spec: NetworkSpec) -> nn.Sequential:
    """The network of ``spec`` with the weights ``state``: float32, in eval mode, on the CPU."""
    with torch.random.fork_rng(devices=[]):  # initialisation must not change a run's random state
        network = build(spec.image_shape, spec.outputs)
    network.load_state_dict(state)
    return hardware.channels_last(network.eval())


def load(spec: NetworkSpec) -> nn.Sequential:
    """The shipped network. Raises EvaluationError if its file is missing or has another hash."""
    try:
        content = spec.path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"{spec.path}: cannot be read: {error.strerror}") from error
    if (found := digest(content)) != spec.sha256:
        raise EvaluationError(f"{spec.path}: has SHA-256 {found}, not {spec.sha256}")
    return unpack(content, spec)


def restricted(
    network: nn.Sequential, spec: NetworkSpec, names: Sequence[str]
) -> tuple[nn.Sequential, NetworkSpec]:
    """``network`` and ``spec`` for the classes or attributes ``names`` only, in this order.

    The features are the same; the likeliest class is one of ``names``. Raises EvaluationError if
    the network does not know a name.
    """
    if unknown := [name for name in names if name not in spec.names]:
        raise EvaluationError(
            f"{spec.path.name} does not know {', '.join(unknown)}, only {', '.join(spec.names)}"
        )
    if tuple(names) == spec.names:
        return network, spec
    rows = [spec.names.index(name) for name in names]
    limited = copy.deepcopy(network)
    *_, linear = limited.get_submodule("head").children()
    for parameter in linear.parameters():  # the weight and the bias have a row for each name
        parameter.data = parameter.data[rows]
    return limited, replace(spec, names=tuple(names))


def extract(
    network: nn.Sequential, pixels: NDArray[np.uint8], spec: NetworkSpec, track: Track = iter
) -> Extracted:
    """Features and labels of uint8 images ``(n, c, h, w)``, by a ``network`` in eval mode."""
    device = next(network.parameters()).device
    body, head = network
    features: list[Tensor] = []
    labels: list[Tensor] = []
    with torch.no_grad():
        for start in track(range(0, len(pixels), BATCH)):
            # A copy, because PyTorch warns about read-only arrays.
            batch = torch.from_numpy(pixels[start : start + BATCH].copy()).to(device)
            features.append(body(scaled(batch)))
            labels.append(spec.predict(head(features[-1])))
    return Extracted(torch.cat(features).cpu().numpy(), torch.cat(labels).cpu().numpy())
