"""The feature network: a small classifier, in whose last hidden layer images are compared.

It learned the classes of the data set itself, or the attributes of its images, so that it sees what
tells these images apart. Distances on its features are therefore no FID, which is defined on
Inception's.
"""

import io
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.artifact.card import digest
from training.data.avatars.faces import ATTRIBUTES
from training.errors import EvaluationError
from training.gan import hardware

FEATURES = 64
"""Few enough that 10,000 images estimate their covariance well."""

_BATCH = 500
_LARGE = 32

Labels = NDArray[Any]
"""The class of each image, integer ``(n,)``, or which of k attributes each has, bool ``(n, k)``."""


@dataclass(frozen=True)
class Shipped:
    """A feature network that lies beside this module."""

    dataset: str
    image_shape: tuple[int, int, int]
    """(channels, height, width)."""
    names: tuple[str, ...]
    """Of the classes, or of the attributes, that it tells."""
    exclusive: bool
    """Whether these are classes, of which an image has one; it may have any of the attributes."""
    sha256: str
    accuracy: float
    """Share of the test images whose class it tells; of attributes, the mean of their shares."""

    @property
    def path(self) -> Path:
        """Its weights."""
        return Path(__file__).with_name(f"{self.dataset}.pt")

    @property
    def words(self) -> str:
        """The network as a protocol names it."""
        return f"the {FEATURES} features of {self.path.name} (SHA-256 {self.sha256[:12]}…)"

    def labels(self, logits: Tensor) -> Tensor:
        """What ``logits`` ``(n, k)`` tell: the likeliest class, or every likely attribute."""
        return logits.argmax(dim=1) if self.exclusive else logits > 0


FASHION_MNIST = Shipped(
    dataset="fashion-mnist",
    image_shape=(1, 28, 28),
    names=(
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
    exclusive=True,
    sha256="4c7ef5e221052d0370b911827f5b335b54746fdd9f3fdc7298c683467c8830f1",
    accuracy=0.9388,
)

AVATARS = Shipped(
    dataset="avatars",
    image_shape=(3, 64, 64),
    names=tuple(ATTRIBUTES),
    exclusive=False,
    sha256="326fbd47064d95dcdf19b562f4ec0c1d49d5301c342e1d67c315ea1bd0470502",
    accuracy=0.9991,
)

SHIPPED = {shipped.dataset: shipped for shipped in (FASHION_MNIST, AVATARS)}


class Seen(NamedTuple):
    """What the network sees in images."""

    features: NDArray[np.float32]
    """``(n, FEATURES)``."""
    labels: Labels


def network(image_shape: tuple[int, int, int], outputs: int) -> nn.Sequential:
    """Images ``(n, *image_shape)`` in [-1, 1] to logits ``(n, outputs)``.

    Of its two children the body gives the features ``(n, FEATURES)``, the head what they tell. The
    body is three blocks of two 3×3 convolutions (Simonyan and Zisserman 2015, arXiv 1409.1556,
    section 2) with batch norm. The first convolution halves images of more than 32 rows or columns,
    which would take four times as long. The features are taken before their ReLU, which would cut
    off half of what the Fréchet distance takes for Gaussians; batch norm without a scale of its own
    lets each weigh the same.
    """
    width_in, height, width = image_shape
    stride = 2 if max(height, width) > _LARGE else 1
    shrunk = 8 * stride
    body: list[nn.Module] = []
    for filters in (32, 64, 128):
        for _ in range(2):
            body += [
                nn.Conv2d(width_in, filters, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(filters),
                nn.ReLU(),
            ]
            width_in, stride = filters, 1
        body.append(nn.MaxPool2d(2, ceil_mode=True))
    places = -(-height // shrunk) * -(-width // shrunk)
    body += [
        nn.Flatten(),
        nn.Linear(width_in * places, FEATURES, bias=False),
        nn.BatchNorm1d(FEATURES, affine=False),
    ]
    head = nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, outputs))
    return nn.Sequential(OrderedDict(body=nn.Sequential(*body), head=head))


def pack(trained: nn.Sequential) -> bytes:
    """The weights as the content of a file, in half precision for half the size.

    The bytes depend on the weights alone, not on a file's name.
    """
    state = {
        name: values.half() if values.is_floating_point() else values
        for name, values in trained.cpu().state_dict().items()
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack(content: bytes, shipped: Shipped) -> nn.Sequential:
    """The network with the weights in ``content``, in float32 and eval mode, on the CPU."""
    with torch.random.fork_rng(devices=[]):  # its first weights shall not disturb a run's numbers
        trained = network(shipped.image_shape, len(shipped.names))
    trained.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
    return hardware.channels_last(trained.eval())


def load(shipped: Shipped) -> nn.Sequential:
    """The shipped network. Raises EvaluationError for a file that is missing or another one."""
    try:
        content = shipped.path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"{shipped.path}: cannot be read: {error.strerror}") from error
    if (found := digest(content)) != shipped.sha256:
        raise EvaluationError(f"{shipped.path}: has SHA-256 {found}, not {shipped.sha256}")
    return unpack(content, shipped)


def scaled(pixels: Tensor) -> Tensor:
    """Pixels 0…255 to float32 -1…1, which is what the network takes."""
    return pixels.float().div_(127.5).sub_(1)


def features(trained: nn.Sequential, pixels: NDArray[np.uint8], shipped: Shipped) -> Seen:
    """What ``trained`` (eval mode), the network of ``shipped``, sees in uint8 ``(n, c, h, w)``."""
    device = next(trained.parameters()).device
    body, head = trained
    seen: list[Tensor] = []
    labels: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(pixels), _BATCH):
            # A copy: an array that was read from a file may not be written to.
            batch = torch.from_numpy(pixels[start : start + _BATCH].copy()).to(device)
            seen.append(body(scaled(batch)))
            labels.append(shipped.labels(head(seen[-1])))
    return Seen(torch.cat(seen).cpu().numpy(), torch.cat(labels).cpu().numpy())
