"""Images beside what an encoder and the generator make of them."""

from pathlib import Path

import numpy as np
import torch

from training.encoder import images, subject
from training.encoder.encode import Session
from training.encoder.found import FoundEncoder
from training.encoder.refine import STEPS, refine
from training.encoder.subject import Subject
from training.evaluation.loaded_model import LoadedModel
from training.evaluation.metrics import ImageBytes
from training.figures.canvas import Canvas, grid
from training.figures.options import FiguresOptions

COLUMNS = 12
"""Number of images."""
CAPTION_WIDTH = 80


def of_model(
    model: LoadedModel,
    folder: Path,
    device: torch.device,
    encoder: FoundEncoder,
    options: FiguresOptions,
) -> bytes:
    """The ``sheet`` of test images, chosen by the seed; of generated ones if there are no others.

    ``model`` was loaded from ``folder``. Raises DataError if the real images that the encoder was
    trained on are missing.
    """
    found = subject.of_model(model, folder, device)
    real = images.load(found, folder, encoder.options_for(options.data_dir))
    if real is None:
        chosen = found.model.images(COLUMNS, options.seed)
    else:
        test = real.test.pixels
        random = np.random.default_rng(options.seed)
        chosen = test[random.choice(len(test), COLUMNS, replace=len(test) < COLUMNS)]
    return sheet(found, Session(encoder.graph), chosen, options.scale)


def sheet(found: Subject, session: Session, chosen: ImageBytes, scale: int) -> bytes:
    """Three rows, as a PNG: ``chosen``, their reconstructions, and optimised reconstructions.

    Direct optimisation begins with the latents that the encoder found.
    """
    rows = session.rows(chosen)
    drawn = {
        "real": chosen.transpose(0, 2, 3, 1),
        "encoded": found.model.draw(rows),
        "optimised": found.model.draw(refine(found, chosen, rows, STEPS)),
    }
    pixels = grid(np.concatenate(list(drawn.values())), len(chosen), scale)
    height, width, _ = pixels.shape
    canvas = Canvas(CAPTION_WIDTH + width, height)
    for k, caption in enumerate(drawn):
        canvas.write(caption, CAPTION_WIDTH // 2, (2 * k + 1) * height // (2 * len(drawn)))
    canvas.paste(pixels, CAPTION_WIDTH, 0)
    return canvas.png()
