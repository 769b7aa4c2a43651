"""``python -m app render``: many images into files, by the server's engine but without HTTP."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from tqdm import tqdm

from app.api.responses import caption
from app.artifact.card import INPUT
from app.imaging import sheets
from app.imaging.sheets import Pixels
from app.registry.model_version import Served
from app.registry.registry import Catalog
from app.rendering.options import RenderSettings
from app.rendering.outputs import CHUNK, Manifest, Output, opened
from app.runtime.cpus import available
from app.settings import Engines, Settings

_AHEAD = 8
"""Chunks that may wait to be encoded: enough to keep every thread busy, and little memory."""


def render(options: RenderSettings) -> Manifest:
    """Draw the images that are not there yet, with a progress bar; returns what is there.

    Raises AppError for a model, version or attribute that there is not, StartupError where the
    provider does not run, OutputError where something else is in the way, OSError of the disk.
    """
    engines = options.model_dump(include=set(Engines.model_fields))
    catalog = Catalog.load(Settings(**engines, max_batch=CHUNK))
    found = catalog.find(options.model, options.version)
    served = found.editing(options.strengths, options.look)
    manifest = _manifest(served, options)
    output = opened(options.out, manifest, lambda seed: caption(served, seed))
    threads = options.threads or available()
    with tqdm(total=manifest.count, unit="image") as bar, ThreadPoolExecutor(threads) as pool:
        for drawn in _drawn(served, manifest, output, pool):
            bar.update(drawn)
    output.finish()
    return manifest


def _manifest(served: Served, options: RenderSettings) -> Manifest:
    height, width = served.size
    return Manifest(
        model=served.card.name,
        version=served.card.version,
        digest=served.variant.sha256,
        provider=served.engine.provider,
        precision=served.engine.precision,
        seed=options.seed,
        count=options.count,
        edit=served.edit.text,
        truncation=options.truncation,
        scale=options.scale,
        height=height,
        width=width,
        channels=served.card.image.channels,
    )


def _drawn(
    served: Served, manifest: Manifest, output: Output, pool: ThreadPoolExecutor
) -> Iterator[int]:
    """Draw what is missing; yields how many images more are there. ``pool`` encodes beside."""
    waiting: deque[Future[int]] = deque()
    for seeds in manifest.chunks():
        missing = output.missing(seeds)
        yield len(seeds) - len(missing)
        if missing:
            pixels = served.engine({INPUT: served.edit(served.latents(missing))})
            waiting.append(pool.submit(_put, output, missing, pixels, served.look.scale))
        if len(waiting) > _AHEAD:
            yield waiting.popleft().result()
    for put in waiting:
        yield put.result()


def _put(output: Output, seeds: list[int], pixels: Pixels, scale: int) -> int:
    output.put(seeds, sheets.upscale(pixels, scale))
    return len(seeds)
