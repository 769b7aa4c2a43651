"""The sample sheet of a run after an epoch."""

import torch
from torch import nn

from app.artifact.card import Latent
from app.imaging import png, sheets
from app.latent.conditions import Sampler
from training.config import Config
from training.gan.conditional import SHEET_COLUMNS, sheet_rows
from training.gan.pixels import to_pixels
from training.run.journal import Run


def write(
    run: Run, generator: nn.Module, config: Config, sampler: Sampler | None, epoch: int
) -> None:
    """Write the sample sheet of ``epoch``: the images of ``conditional.sheet_rows``."""
    device = next(generator.parameters()).device
    rows = sheet_rows(Latent(width=config.latent_dim, prior=config.prior), sampler)
    pixels = to_pixels(generator, torch.from_numpy(rows).to(device))
    path = run.samples(epoch)
    with run.writing(path):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png.encode(sheets.sheet(pixels, SHEET_COLUMNS)))
