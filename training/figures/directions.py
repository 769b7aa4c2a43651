"""``directions``: finds directions that need no labels, and draws what each changes."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from app.artifact import atomic_files, card
from app.artifact.card import Direction
from app.latent import sampling
from app.latent.sampling import VARIANCE
from training.errors import EvaluationError
from training.evaluation import loaded_model, unlabelled
from training.evaluation.attributes import DECIMALS
from training.evaluation.loaded_model import LoadedModel
from training.evaluation.options import DirectionsOptions
from training.evaluation.records import DirectionsRecord, UnlabelledDirection
from training.export import first_layer, publish
from training.export.graph import build_graph
from training.figures.canvas import CAPTION_HEIGHT, FIGURES, Canvas, grid
from training.loop import device as devices
from training.run.journal import Run

SEEDS = 4096
"""Latents whose activations are analysed."""
STRENGTHS = (-3, -1.5, 0, 1.5, 3)
"""Those of the columns."""
IMAGES = 3
"""Images that are shown, each at all strengths."""

_SCALE = 2
GAP, NAME_WIDTH = 16, 68
"""Space between images, and for the names of directions, in pixels."""


def directions(folder: Path, options: DirectionsOptions) -> None:
    """Find directions of the run or the published version in ``folder``, and draw their figure.

    The record is written to ``options.out``, else into the folder of a run, from where ``export``
    takes the directions into the card. Raises EvaluationError and RunError as ``loaded_model.load``
    does, EvaluationError for more directions than a latent has numbers, and ExportError if the
    first layer cannot be read or the card has such directions already.
    """
    devices.limit_threads()
    if options.publish:
        names = [f"{options.method}_{k + 1}" for k in range(options.count)]
        publish.check_can_add(folder, names)
    device = devices.resolve(options.device)
    model = loaded_model.load(folder, device, options.checkpoint)
    record = find(model, _graph(folder, model), options)
    print(*record.table(), sep="\n")
    run = None if model.step is None else Run(folder)
    if out := options.out or (run and run.directions(options.method)):
        record.write(out)
        print(f"written to {out}")
    found = record.directions()
    name = f"directions-{options.method}.png"
    figure = options.figure or (run.figures if run else FIGURES) / name
    atomic_files.write(figure, sheet(model, found.attributes, options.seed, _SCALE))
    print(f"drawn in {figure}")
    if options.publish:
        publish.add_directions(found, folder)
        print(f"added to {folder}")


def _graph(folder: Path, model: LoadedModel) -> bytes:
    """The ONNX graph of ``model``, which was loaded from ``folder``."""
    if model.generator is None:
        described = card.read(folder.resolve())
        return card.load_graph(folder.resolve(), described.variant("cpu"))
    channels, height, width = model.image_shape
    shape = (height, width, channels)
    return build_graph(model.generator, model.latent.width, shape, {}, _conditions(model))


def _conditions(model: LoadedModel) -> int:
    return len(model.sampler.names) if model.sampler else 0


def find(model: LoadedModel, graph: bytes, options: DirectionsOptions) -> DirectionsRecord:
    """The directions of ``model``, whose ONNX graph is ``graph``.

    Of a conditional generator they are those of the most frequent class or attributes. Raises
    EvaluationError and ExportError as ``directions``.
    """
    began, method, count = time.perf_counter(), options.method, options.count
    if count > model.latent.width:
        raise EvaluationError(
            f"--count {count}: a latent has {model.latent.width} numbers, so that there are at "
            "most as many directions"
        )
    z, conditions = model.latents(range(SEEDS)), _conditions(model)
    if method == "sefa":
        vectors, shares = unlabelled.sefa(first_layer.matrix(graph, z, conditions), count)
    else:
        typical = model.sampler.typical() if model.sampler else np.empty((1, 0), np.float32)
        rows = np.hstack([z, typical.repeat(SEEDS, axis=0)])
        vectors, shares = unlabelled.pca(first_layer.activations(graph, conditions)(rows), z, count)
    steps = np.sqrt(VARIANCE[model.latent.prior]) * vectors
    condition = " with the most frequent class or attributes" if conditions else ""
    protocol = unlabelled.PROTOCOLS[method].format(last=SEEDS - 1, condition=condition)
    return DirectionsRecord(
        subject=model.title,
        step=model.step,
        dataset=model.dataset,
        feature_network=None,
        protocol=protocol + unlabelled.SCALE,
        found={
            f"{method}_{k + 1}": UnlabelledDirection(
                share=round(float(share), DECIMALS), vector=step.round(DECIMALS).tolist()
            )
            for k, (step, share) in enumerate(zip(steps, shares, strict=True))
        },
        device=devices.describe(torch.device("cpu"), "fp32"),
        seconds=round(time.perf_counter() - began, 1),
    )


def sheet(model: LoadedModel, found: Mapping[str, Direction], seed: int, scale: int) -> bytes:
    """A row for each direction, with ``IMAGES`` images at each of ``STRENGTHS``, as a PNG."""
    rows = model.rows(sampling.consecutive(seed, IMAGES))
    vectors = np.zeros((len(found), rows.shape[1]))  # conditions do not change
    vectors[:, : model.latent.width] = [one.vector for one in found.values()]
    steps = np.array(STRENGTHS)[:, None] * vectors[:, None]  # (directions, strengths, width)
    grids = [
        grid(
            model.draw((row + steps).reshape(-1, len(row)).astype(np.float32)),
            len(STRENGTHS),
            scale,
        )
        for row in rows
    ]
    height, width, _ = grids[0].shape
    canvas = Canvas(NAME_WIDTH + IMAGES * (width + GAP) - GAP, CAPTION_HEIGHT + height)
    for k, name in enumerate(found):
        middle = CAPTION_HEIGHT + (2 * k + 1) * height // (2 * len(found))
        canvas.write(name.replace("_", " "), NAME_WIDTH // 2, middle)
    for k, images in enumerate(grids):
        left = NAME_WIDTH + k * (width + GAP)
        for column, strength in enumerate(STRENGTHS):
            middle = left + (2 * column + 1) * width // (2 * len(STRENGTHS))
            canvas.write(f"{strength:+g}" if strength else "0", middle, CAPTION_HEIGHT // 2)
        canvas.paste(images, left, CAPTION_HEIGHT)
    return canvas.png()
