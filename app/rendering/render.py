"""``python -m app render``: writes generated images to files, without HTTP.

It uses the server's model versions and engine, but no batcher: chunks are computed one after the
other while threads encode and write the chunks before.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from tqdm import tqdm

from app.imaging import sheets
from app.imaging.png import Text
from app.imaging.sheets import Pixels
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion
from app.registry.registry import Registry
from app.rendering.options import RenderSettings
from app.rendering.outputs import CHUNK, Manifest, Output, open_output
from app.runtime.cpus import available
from app.settings import GeneratorSettings, Settings

_MAX_PENDING = 8
"""Computed chunks that may wait for a thread: enough to keep all busy, and little memory."""


def render(options: RenderSettings) -> Manifest:
    """Generate the images that ``options.out`` lacks, with a progress bar; return its manifest.

    Raises AppError for an unknown model, version or attribute, StartupError if the provider does
    not run, OutputError if ``options.out`` holds anything else, and OSError if the disk fails.
    """
    engines = options.model_dump(include=set(GeneratorSettings.model_fields))
    registry = Registry.load(Settings(**engines, max_batch=CHUNK))
    version = registry.find(options.model, options.version)
    edit = version.edit(options.strengths)
    choice = version.choice(options.mixtures, options.amounts, options.count)
    drawing = DrawOptions(edit, options.truncation, options.scale, choice)
    manifest = _manifest(version, drawing, options)
    output = open_output(options.out, manifest, partial(_caption, version, drawing, manifest))
    threads = options.threads or available()
    with tqdm(total=manifest.count, unit="image") as bar, ThreadPoolExecutor(threads) as pool:
        for images in _fill(output, version, drawing, manifest, pool):
            bar.update(images)
    output.finish()
    return manifest


def _caption(version: ModelVersion, drawing: DrawOptions, manifest: Manifest, seed: int) -> Text:
    """The text chunks of the PNG file of one seed."""
    image = manifest.image(seed)
    (condition,) = version.conditions([seed], drawing, [image])
    return version.caption(drawing.of_image(image), seed, version.condition_text(condition))


def _manifest(version: ModelVersion, drawing: DrawOptions, options: RenderSettings) -> Manifest:
    height, width = version.image_size(drawing)
    return Manifest(
        model=version.card.name,
        version=version.card.version,
        digest=version.variant.sha256,
        provider=version.engine.provider,
        precision=version.engine.precision,
        seed=options.seed,
        count=options.count,
        **drawing.choice.parameters,
        edit=drawing.edit.text,
        truncation=options.truncation,
        scale=options.scale,
        height=height,
        width=width,
        channels=version.card.image.channels,
    )


def _fill(
    output: Output,
    version: ModelVersion,
    drawing: DrawOptions,
    manifest: Manifest,
    pool: ThreadPoolExecutor,
) -> Iterator[int]:
    """Generate the missing images; ``pool`` encodes and writes them.

    Yields progress: how many images were found or written since the last value. The values sum to
    ``manifest.count``.
    """
    pending: deque[Future[int]] = deque()
    for seeds in manifest.chunks():
        missing = output.missing(seeds)
        yield len(seeds) - len(missing)
        if missing:
            latents = version.latents(missing, drawing)
            conditions = version.conditions(missing, drawing, [*map(manifest.image, missing)])
            pixels = version.engine(version.rows(latents, conditions, drawing))
            pending.append(pool.submit(_write, output, missing, pixels, drawing.scale))
        if len(pending) > _MAX_PENDING:
            yield pending.popleft().result()
    for written in pending:
        yield written.result()


def _write(output: Output, seeds: list[int], pixels: Pixels, scale: int) -> int:
    output.write(seeds, sheets.upscale(pixels, scale))
    return len(seeds)
