"""Reads the generator of a published version back from its graph, as a PyTorch module."""

from pathlib import Path

import torch
from torch import Tensor, nn

from app.artifact import card
from app.artifact.card import CLASSES, INPUT
from training.export import parity
from training.export.onnx_module import OnnxModule
from training.gan.conditional import rows_of
from training.gan.pixels import scaled, to_pixels

_PARITY_SEEDS = 256


class GraphGenerator(nn.Module):
    """A published generator, read back from its graph."""

    def __init__(self, graph: bytes, width: int) -> None:
        """Latents have ``width`` numbers. Raises ExportError for an unknown operator."""
        super().__init__()
        self._graph, self._width = OnnxModule(graph), width

    def forward(self, rows: Tensor) -> Tensor:
        """The images ``(n, c, h, w)`` in [-1, 1] of rows ``(n, z + k)``."""
        latents, classes = rows.tensor_split([self._width], dim=1)
        inputs = {INPUT: latents} | ({CLASSES: classes} if classes.shape[1] else {})
        pixels: Tensor = self._graph(inputs)
        return scaled(pixels.permute(0, 3, 1, 2))


def generator(folder: Path) -> nn.Module:
    """The generator of the version in ``folder``, compared with onnxruntime's images.

    It maps rows ``(n, z + k)`` to images ``(n, c, h, w)`` in [-1, 1]. Raises CardError if the
    version is damaged, ExportError if its graph cannot be read back.
    """
    described = card.read(folder)
    graph = card.load_graph(folder, described.variant("any"))
    found = GraphGenerator(graph, described.latent.width)
    rows = rows_of(range(_PARITY_SEEDS), described.latent, described.sampler)
    conditions = rows.shape[1] - described.latent.width
    parity.check(to_pixels(found, torch.from_numpy(rows)), graph, rows, conditions)
    return found
