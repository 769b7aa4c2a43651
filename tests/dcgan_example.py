"""Generators after the description of PyTorch's DCGAN example, trained for a few steps."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from app.latent import sampling
from training.gan.pixels import to_pixels

WIDTH = 10
"""Numbers in a latent."""


def relu() -> nn.Module:
    return nn.ReLU()


class Example(nn.Module):
    """The example's generator: ``main`` from (n, z, 1, 1) to images, doubling from 4×4.

    ``crop`` is what the padding of the last layer takes away at each side, beyond the usual.
    """

    def __init__(
        self,
        size: int = 32,
        channels: int = 3,
        norm: bool = True,
        *,
        activation: Callable[[], nn.Module] = relu,
        last: Callable[[], nn.Module] = nn.Tanh,
        eps: float = 1e-5,
        crop: int = 0,
    ) -> None:
        super().__init__()
        widths = [WIDTH] + [2 * size // 2**k for k in range(2, size.bit_length() - 1)]
        layers: list[nn.Module] = []
        for k, (before, after) in enumerate(zip(widths, [*widths[1:], channels], strict=True)):
            stride, padding = (2, 1) if k else (1, 0)
            ends = k + 1 == len(widths)
            padding += crop if ends else 0
            layers.append(nn.ConvTranspose2d(before, after, 4, stride, padding, bias=not norm))
            if norm and not ends:
                layers.append(nn.BatchNorm2d(after, eps))
            layers.append(last() if ends else activation())
        self.main = nn.Sequential(*layers)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.main(z)  # type: ignore[no-any-return]


def trained(network: Example) -> Example:
    """Trained for a few steps, so that every tensor differs from its initial value."""
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(3):
        optimiser.zero_grad()
        (network(torch.randn(8, WIDTH, 1, 1)) - 0.3).square().mean().backward()
        optimiser.step()
    return network.eval()


def expected(network: nn.Module, count: int) -> NDArray[np.uint8]:
    """The pixels of the first seeds, by PyTorch."""
    z = torch.from_numpy(sampling.from_seeds(range(count), WIDTH))
    return to_pixels(network, z[:, :, None, None])


def exported(network: Example, path: Path, **options: Any) -> Path:
    """The network as PyTorch's exporter writes it. It warns that another one is newer."""
    options.setdefault("opset_version", 17)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        z = torch.randn(options.pop("batch", 1), WIDTH, 1, 1)
        torch.onnx.export(network, (z,), str(path), dynamo=False, **options)
    return path
