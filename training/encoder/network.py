"""The encoder: a small residual network (He et al. 2016, arXiv 1512.03385)."""

from typing import NamedTuple

from torch import Tensor, nn

from app.latent.sampling import Prior
from training.gan.residual import Residual

WIDTHS = (32, 64, 128)
"""Channels of its feature maps, from the largest map to the smallest."""
NARROW = 32
"""Channels of the smallest map before the last layer, so that this has few weights."""
_LARGEST_MAP = 32


class Encoded(NamedTuple):
    """What the encoder finds in images."""

    latents: Tensor
    """``(n, z)``."""
    logits: Tensor | None
    """Of the classes or attributes, ``(n, k)``; None for an unconditional generator."""


class EncoderNetwork(nn.Module):
    """From images ``(n, c, h, w)`` in [-1, 1] to latents, and to logits of conditions."""

    def __init__(
        self, image_shape: tuple[int, int, int], latent_dim: int, prior: Prior, conditions: int
    ) -> None:
        """A new network for images of ``image_shape`` (channels, height, width)."""
        super().__init__()
        layers, features = _layers(image_shape)
        self.body = nn.Sequential(*layers)
        bounded = [nn.Tanh()] if prior == "uniform" else []
        self.latents = nn.Sequential(nn.Linear(features, latent_dim), *bounded)
        self.conditions = nn.Linear(features, conditions) if conditions else None

    def forward(self, images: Tensor) -> Encoded:
        """The latents and the logits, as float32."""
        found = self.body(images)
        logits = self.conditions(found).float() if self.conditions else None
        return Encoded(self.latents(found).float(), logits)


def _layers(image_shape: tuple[int, int, int]) -> tuple[list[nn.Module], int]:
    """The layers up to a vector, and the length of this vector.

    Strided convolutions halve the image until it has at most 32 rows and columns, and twice again.
    """
    channels, *size = image_shape
    halvings = 0
    while max(size) > _LARGEST_MAP << halvings:
        halvings += 1
    strides = [2] * halvings or [1]
    layers: list[nn.Module] = []
    for stride in strides:
        layers += _convolution(channels, WIDTHS[0], 3, stride)
        channels = WIDTHS[0]
    for width in WIDTHS[1:]:
        layers += [*_convolution(channels, width, 3, 2), _residual(width), nn.ReLU()]
        channels = width
    layers += [*_convolution(channels, NARROW, 1, 1), nn.Flatten()]
    reduction = 2 ** (halvings + len(WIDTHS) - 1)
    height, width = (-(-side // reduction) for side in size)
    return layers, NARROW * height * width


def _convolution(channels: int, width: int, kernel: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]


def _residual(width: int) -> Residual:
    *first, activation = _convolution(width, width, 3, 1)
    *second, _ = _convolution(width, width, 3, 1)
    return Residual(*first, activation, *second)
