"""``figures``: pictures that show what a generator has learned."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from app.artifact import atomic_files
from app.artifact.card import Direction
from app.imaging import png
from app.latent import sampling
from training.data import datasets
from training.data.download_progress import DownloadProgress
from training.data.folder_files import ignore_skipped
from training.encoder.found import FoundEncoder, find
from training.errors import DataError, RunError
from training.evaluation import features, loaded_model, progress
from training.evaluation.attributes import STRENGTH
from training.evaluation.loaded_model import LoadedModel
from training.figures import arithmetic, directions, reconstructions
from training.figures.canvas import CAPTION_HEIGHT, FIGURES, Canvas, grid
from training.figures.options import FiguresOptions
from training.loop import device as devices
from training.run.journal import DataSummary, Run

ImageBytes = NDArray[np.uint8]
"""Images ``(n, channels, height, width)``."""

Points = NDArray[np.float32] | NDArray[np.uint8]
"""Features or pixels ``(n, d)``."""

Draw = Callable[[], bytes | None]
"""Returns a figure as a PNG; None if it cannot be drawn."""

WALKS, STEPS = 8, 10

EDITED_IMAGES = 6
"""Number of images in ``edits``."""

ROWS, COLUMNS = 8, 5
"""Size of each of the three grids in ``neighbours``."""

GAP = 24
"""Space between these grids, in pixels."""

_BLOCK = 100


def figures(folder: Path, options: FiguresOptions) -> None:
    """Write every figure of the run or the published version in ``folder`` as a PNG.

    The output folder is ``options.out``, else the run's own, else ``runs/figures``. Only a run has
    the figure ``neighbours``, only a generator with directions of attributes ``edits``, only one
    with directions that were found without labels ``directions``, only one with an encoder
    ``reconstructions``. A conditional generator has no ``arithmetic``: its classes are inputs.
    Raises RunError for a run that cannot be read or was trained on other data than are found,
    DataError if these are missing.
    """
    devices.limit_threads()
    seed, scale, device = options.seed, options.scale, devices.resolve(options.device)
    model = loaded_model.load(folder, device)
    run = None if model.step is None else Run(folder)
    out = options.out or (run.figures if run else FIGURES)
    drawings: dict[str, Draw] = {"walk": lambda: walk(model, seed, scale)}
    if model.sampler is None:
        drawings["arithmetic"] = lambda: arithmetic.sheet(model, seed, scale)
    named, numbered = (
        model.directions.where(measured=measured) if model.directions else {}
        for measured in (True, False)
    )
    if named:
        drawings["edits"] = lambda: edits(model, named, seed, scale)
    if numbered:
        drawings["directions"] = lambda: directions.sheet(model, numbered, seed, scale)
    if run:
        drawings["neighbours"] = lambda: neighbours(model, *_real_images(run, options), seed, scale)
    if encoder := find(folder, model.step):
        drawings["reconstructions"] = partial(
            _reconstructions, model, folder, device, encoder, options
        )
    for name, draw in progress.each([*drawings.items()], lambda item: f"drawing {item[0]}"):
        if content := draw():
            _write(out, name, content)


def _reconstructions(
    model: LoadedModel,
    folder: Path,
    device: torch.device,
    encoder: FoundEncoder,
    options: FiguresOptions,
) -> bytes | None:
    """The figure ``reconstructions``; None for a published version without its real images."""
    try:
        return reconstructions.of_model(model, folder, device, encoder, options)
    except DataError as error:
        if model.run:
            raise
        # No other figure of a published version needs real images.
        tqdm.write(f"reconstructions: skipped, because {error}", file=sys.stderr)
        return None


def _write(folder: Path, name: str, content: bytes) -> None:
    path = folder / f"{name}.png"
    atomic_files.write(path, content)
    tqdm.write(f"written to {path}")


def walk(model: LoadedModel, seed: int, scale: int) -> bytes:
    """Rows of images that interpolate from one seed to the next, both included, as a PNG.

    Latents are interpolated spherically, classes and attributes linearly. Radford et al. 2015
    (arXiv 1511.06434), section 6.1: if the generator has not memorised images, the transitions are
    smooth and all images are plausible.
    """
    rows, width = model.rows(sampling.consecutive(seed, 2 * WALKS)), model.latent.width
    fractions = np.linspace(0, 1, STEPS)
    paths = [
        np.hstack(
            [
                sampling.slerp(start[:width], end[:width], fractions),
                sampling.lerp(start[width:], end[width:], fractions),
            ]
        )
        for start, end in zip(rows[::2], rows[1::2], strict=True)
    ]
    return png.encode(grid(model.draw(np.concatenate(paths)), STEPS, scale))


def edits(model: LoadedModel, named: Mapping[str, Direction], seed: int, scale: int) -> bytes:
    """Images, each followed by its edits along every direction at strength 2, as a PNG."""
    rows = model.rows(sampling.consecutive(seed, EDITED_IMAGES))
    unchanged = np.zeros(rows.shape[1] - model.latent.width)  # the conditions
    steps = {"seed": np.zeros(rows.shape[1])}
    steps |= {
        name: np.concatenate([STRENGTH * np.array(direction.vector), unchanged])
        for name, direction in named.items()
    }
    edited = rows[:, None] + np.stack(list(steps.values()))  # (images, steps, width)
    drawn = model.draw(edited.reshape(-1, rows.shape[1]).astype(np.float32))
    sheet = grid(drawn, len(steps), scale)
    height, width, _ = sheet.shape
    canvas = Canvas(width, height + CAPTION_HEIGHT)
    for k, name in enumerate(steps):
        middle = (2 * k + 1) * width // (2 * len(steps))
        canvas.write(name.replace("_", " "), middle, CAPTION_HEIGHT // 2, size=10)
    canvas.paste(sheet, 0, CAPTION_HEIGHT)
    return canvas.png()


def neighbours(
    model: LoadedModel, train: ImageBytes, test: ImageBytes | None, seed: int, scale: int
) -> bytes:
    """Real images, generated images, and the nearest training image of each of these, as a PNG.

    The real images are from ``test``, or from ``train`` if that is None. If the generator copies
    its training images, the second and the third grid look the same.
    """
    count = ROWS * COLUMNS
    drawn = model.images(count, seed)
    nearest = train[nearest_rows(feature_points(model, drawn), feature_points(model, train))]
    real = train if test is None else test
    chosen = np.random.default_rng(seed).choice(len(real), count, replace=len(real) < count)
    title = "training images" if test is None else "test images"
    sets = {title: real[chosen], "generated": drawn, "nearest training images": nearest}
    grids = [grid(images.transpose(0, 2, 3, 1), COLUMNS, scale) for images in sets.values()]
    height, width, _ = grids[0].shape
    canvas = Canvas(3 * width + 2 * GAP, height + CAPTION_HEIGHT)
    for k, (title, images) in enumerate(zip(sets, grids, strict=True)):
        left = k * (width + GAP)
        canvas.write(title, left + width // 2, CAPTION_HEIGHT // 2)
        canvas.paste(images, left, CAPTION_HEIGHT)
    return canvas.png()


def feature_points(model: LoadedModel, pixels: ImageBytes) -> Points:
    """``pixels`` as points ``(n, d)``: features if there is a network for them, else the pixels."""
    spec = features.spec_for(model.dataset, model.image_shape)
    if spec is None:
        return pixels.reshape(len(pixels), -1)
    return features.extract(features.load(spec), pixels, spec).features


def nearest_rows(points: Points, among: Points) -> NDArray[np.intp]:
    """The index of the nearest row of ``among`` ``(m, d)`` for each point ``(n, d)``: ``(n,)``."""
    x = points.astype(np.float64)
    best, least = np.zeros(len(x), dtype=np.intp), np.full(len(x), np.inf)
    for start in range(0, len(among), _BLOCK):
        y = among[start : start + _BLOCK].astype(np.float64)
        # Squared distances without the norms of x, which do not change the order.
        squared = np.square(y).sum(axis=1) - 2 * x @ y.T
        nearest = squared.argmin(axis=1)
        found = squared.min(axis=1)
        best = np.where(found < least, start + nearest, best)
        least = np.minimum(found, least)
    return best


def _real_images(run: Run, options: FiguresOptions) -> tuple[ImageBytes, ImageBytes | None]:
    """The training images, and the test images of a data set that has them. Raises RunError."""
    config = run.config()
    config = config.model_copy(update={"data_dir": options.data_dir or config.data_dir})
    with DownloadProgress() as progress:
        train = datasets.load(config, progress, ignore_skipped)
        test = datasets.load_test(config, progress)
    if DataSummary.of(train) != run.data():
        raise RunError(
            f"{run.folder}: was trained on other data than those found: "
            f"{run.data().contrast(DataSummary.of(train))}"
        )
    return train.pixels, test
