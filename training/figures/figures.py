"""``figures``: what a generator has learned, as pictures to look at."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.artifact import atomic_files
from app.artifact.card import Directions
from app.imaging import png
from app.latent import sampling
from training.data import datasets
from training.data.download_progress import DownloadProgress
from training.errors import RunError
from training.evaluation import features, subject
from training.evaluation.attributes import STRENGTH
from training.evaluation.features import SHIPPED
from training.evaluation.options import Drawing
from training.evaluation.subject import Subject
from training.figures import arithmetic
from training.figures.canvas import WORDS, Canvas, grid
from training.loop import device
from training.run.journal import DataSummary, Run

Bytes = NDArray[np.uint8]
"""Images ``(n, channels, height, width)``."""

FIGURES = Path("figures")

WALKS, STEPS = 8, 10

EDITED = 6
"""Images that ``edits`` shows."""

ROWS, COLUMNS = 8, 5
"""Of each of the three sets that ``neighbours`` shows."""

GAP = 24
"""Between these sets, in pixels."""

_BLOCK = 1000


def figures(folder: Path, options: Drawing) -> None:
    """Draw every figure of the run or the published version in ``folder``.

    Into the folder that ``options`` say, else a run's own, else ``figures``. Only a run has
    ``neighbours``, and only a generator with directions ``edits``. Raises RunError for a run that
    cannot be read or learned from other data than are found, DataError where these are missing.
    """
    device.limit_threads()
    seed, scale = options.seed, options.scale
    measured = subject.find(folder, device.resolve(options.device))
    run = None if measured.step is None else Run(folder)
    out = options.out or (run.figures if run else FIGURES)
    _write(out, "walk", walk(measured, seed, scale))
    _write(out, "arithmetic", arithmetic.sheet(measured, seed, scale))
    if measured.directions:
        _write(out, "edits", edits(measured, measured.directions, seed, scale))
    if run:
        _write(out, "neighbours", neighbours(measured, *_real(run, options), seed, scale))


def _write(folder: Path, name: str, content: bytes) -> None:
    path = folder / f"{name}.png"
    atomic_files.write(path, content)
    print(f"drew {path}")


def walk(subject: Subject, seed: int, scale: int) -> bytes:
    """Rows of images on the way from a seed's to the next one's, as a PNG; both ends are included.

    The way is the great arc. Radford et al. 2015 (arXiv 1511.06434), section 6.1: it is smooth
    where nothing is memorised, and all along it are likely images.
    """
    z = subject.latents(sampling.consecutive(seed, 2 * WALKS))
    shares = np.linspace(0, 1, STEPS)
    paths = [sampling.slerp(start, end, shares) for start, end in zip(z[::2], z[1::2], strict=True)]
    return png.encode(grid(subject.draw(np.concatenate(paths)), STEPS, scale))


def edits(subject: Subject, directions: Directions, seed: int, scale: int) -> bytes:
    """Images, and beside each what strength 2 of every direction makes of it, as a PNG."""
    z = subject.latents(sampling.consecutive(seed, EDITED))
    steps = {"seed": np.zeros(z.shape[1])}
    steps |= {name: STRENGTH * np.array(way.vector) for name, way in directions.attributes.items()}
    rows = z[:, None] + np.stack(list(steps.values()))  # (images, steps, width)
    drawn = subject.draw(rows.reshape(-1, z.shape[1]).astype(np.float32))
    sheet = grid(drawn, len(steps), scale)
    height, width, _ = sheet.shape
    canvas = Canvas(width, height + WORDS)
    for k, name in enumerate(steps):
        middle = (2 * k + 1) * width // (2 * len(steps))
        canvas.write(name.replace("_", " "), middle, WORDS // 2, size=10)
    canvas.paste(sheet, 0, WORDS)
    return canvas.png()


def neighbours(subject: Subject, train: Bytes, test: Bytes | None, seed: int, scale: int) -> bytes:
    """Real images, generated ones, and of each of these the nearest in ``train``, as a PNG.

    The real are of ``test``, or of ``train`` where there is no such set. A generator that copies
    shows the same images in the second and in the third part.
    """
    count = ROWS * COLUMNS
    drawn = subject.images(count, seed)
    nearest = train[closest(*(seen(subject, pixels) for pixels in (drawn, train)))]
    real = train if test is None else test
    chosen = np.random.default_rng(seed).choice(len(real), count, replace=len(real) < count)
    title = "training images" if test is None else "test images"
    parts = {title: real[chosen], "generated": drawn, "nearest training images": nearest}
    grids = [grid(part.transpose(0, 2, 3, 1), COLUMNS, scale) for part in parts.values()]
    height, width, _ = grids[0].shape
    canvas = Canvas(3 * width + 2 * GAP, height + WORDS)
    for k, (title, part) in enumerate(zip(parts, grids, strict=True)):
        left = k * (width + GAP)
        canvas.write(title, left + width // 2, WORDS // 2)
        canvas.paste(part, left, WORDS)
    return canvas.png()


def seen(subject: Subject, pixels: Bytes) -> NDArray[np.float32]:
    """``pixels`` as points ``(n, d)``: by the shipped network where there is one for them."""
    shipped = SHIPPED.get(subject.dataset)
    if shipped is None or shipped.image_shape != subject.image_shape:
        return pixels.reshape(len(pixels), -1).astype(np.float32)
    return features.features(features.load(shipped), pixels, shipped).features


def closest(points: NDArray[np.float32], among: NDArray[np.float32]) -> NDArray[np.intp]:
    """Which of ``among`` ``(m, d)`` is nearest to each of ``points`` ``(n, d)``: ``(n,)``."""
    x = points.astype(np.float64)
    best, least = np.zeros(len(x), dtype=np.intp), np.full(len(x), np.inf)
    for start in range(0, len(among), _BLOCK):
        y = among[start : start + _BLOCK].astype(np.float64)
        # The squared distances, without the norms of x, which decide nothing.
        squared = np.square(y).sum(axis=1) - 2 * x @ y.T
        nearest = squared.argmin(axis=1)
        found = squared.min(axis=1)
        best = np.where(found < least, start + nearest, best)
        least = np.minimum(found, least)
    return best


def _real(run: Run, options: Drawing) -> tuple[Bytes, Bytes | None]:
    """The training images, and the test images of a data set that has them."""
    config = run.config()
    config = config.model_copy(update={"data_dir": options.data_dir or config.data_dir})
    with DownloadProgress() as downloads:
        # What is skipped was told when the run began.
        train = datasets.load(config, downloads, lambda *_: None)
        test = datasets.load_test(config, downloads)
    if DataSummary.of(train) != run.data():
        raise RunError(f"{run.folder}: learned from other data: {run.data()} is not these")
    return train.pixels, test
