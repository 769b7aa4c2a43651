"""Verifies that an imported generator draws the images that the original drew."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import get_args

from app.artifact.card import Image, Latent
from training.config import Activation
from training.errors import ExportError
from training.export.options import ImportOptions, Range
from training.export.originals import CheckedImages, Draw, Original, SampleSheet
from training.export.sequential import ADOPT

DrawWith = Callable[[ImportOptions], Draw]
"""Returns what draws with the generator that has these options."""

_COMMON_EPS = (1e-5, 0.8)
"""PyTorch's default, and what PyTorch-GAN passes as eps."""


def verify(
    draw: DrawWith, sizes: Sequence[int], latent: Latent, image: Image, options: ImportOptions
) -> list[str]:
    """Compare the generator with the files that ``options`` name; returns what was found.

    ``sizes`` are the image sizes that it may have; the first is the default. Raises ExportError if
    it draws other images, with the options with which it draws the same ones.
    """
    notes = []
    for original in _originals(options, latent, image):
        found = original.compare(draw(options), image.height, options)
        if not found.fits:
            advice = _advice(original, draw, sizes, options)
            raise ExportError(f"{original.path}: {found.text}; {advice}")
        notes.append(f"verified with {original.path}: {found.text}")
    return notes


def _originals(options: ImportOptions, latent: Latent, image: Image) -> Iterator[Original]:
    if options.check:
        yield CheckedImages(options.check, latent, image)
    if options.reference:
        yield SampleSheet(options.reference, latent, image)


def _advice(
    original: Original, draw: DrawWith, sizes: Sequence[int], options: ImportOptions
) -> str:
    """The flags with which the generator draws the images of ``original``."""
    best, distance = "", float("inf")
    for flags, chosen in _variations(options, sizes):
        found = original.compare(draw(chosen), chosen.image_size or sizes[0], chosen)
        if found.fits and found.distance < distance:
            best, distance = flags, found.distance
    if best:
        return f"they fit with {best}"
    return f"no --activation, --norm-eps, --range or --image-size mends that; {ADOPT}"


def _variations(
    options: ImportOptions, sizes: Sequence[int]
) -> Iterator[tuple[str, ImportOptions]]:
    """Other options with the flags that choose them, those with the fewest flags first."""
    values = {
        "activation": get_args(Activation),
        "norm_eps": dict.fromkeys((options.norm_eps, *_COMMON_EPS)),
        "range": get_args(Range),
        "image_size": sizes,
    }
    before = {**options.model_dump(), "image_size": options.image_size or sizes[0]}
    changes = [
        {name: value for name, value in zip(values, chosen, strict=True) if value != before[name]}
        for chosen in product(*values.values())
    ]
    for change in sorted(filter(None, changes), key=len):
        flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in change.items())
        yield flags, options.model_copy(update=change)
