"""``attributes``: finds the directions in latent space that edit a generator's images."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from app.artifact.card import Direction
from app.latent.sampling import Latents
from training.evaluation import directions, features, loaded_model, recogniser, steering
from training.evaluation.directions import Attributes, Float64Array
from training.evaluation.features import NetworkSpec
from training.evaluation.loaded_model import LoadedModel
from training.evaluation.options import AttributesOptions
from training.evaluation.progress import bar
from training.evaluation.recogniser import Recogniser
from training.evaluation.records import AttributeEdit, AttributesRecord, FeatureNetwork
from training.evaluation.steering import Logits
from training.gan import hardware
from training.gan.conditional import Rows
from training.gan.pixels import Track, of_latents
from training.loop import device as devices
from training.run.journal import Run

STRENGTH = 2
"""The strength at which the effect of a direction is measured."""

MIN_EXAMPLES = 50
"""Smallest number of images with an attribute, and without it, for finding its direction."""

DECIMALS = 4
"""Decimal places of a direction's components, in the card and when it is measured."""

LENGTH_IMAGES, EFFECT_IMAGES = 500, 2000
"""Most images for finding the length of a direction, and for measuring the effect of an edit."""

STEERED = ", steered by gradient descent (Jahanian et al. 2020)"
PROTOCOL = (
    "ways that lead past the other attributes (conditional manipulation, Shen et al. 2020)"
    "{steered}, by what {network} sees in the images of seeds 0 to {last_found}; strength 1 gives "
    "an attribute to half of up to {tried} images without it; gained and kept: at strength "
    "{strength}, on up to {judged} images without it, of seeds {first_judged} to {last}"
)
"""How directions are found and measured. Published cards contain this text: do not change it."""

Predict = Callable[[Rows], Attributes]
"""Function from rows ``(n, z + k)`` to the attributes of their images."""


class Examples(NamedTuple):
    """Inputs of the generator and the attributes of their images."""

    rows: Rows
    """Latents, each followed by its condition: ``(n, z + k)``."""
    has: Attributes
    """Which attributes each image has: ``(n, k)``."""
    width: int
    """The width of a latent."""

    @property
    def latents(self) -> Latents:
        """The latents ``(n, width)``."""
        return self.rows[:, : self.width]

    def is_rare(self, attribute: int) -> bool:
        """Whether too few of the images have ``attribute``, or too few do not have it."""
        having = int(self.has[:, attribute].sum())
        return min(having, len(self.has) - having) < MIN_EXAMPLES

    def without(self, attribute: int, limit: int) -> "Examples":
        """The first images that do not have ``attribute``, at most ``limit``."""
        rows = np.flatnonzero(~self.has[:, attribute])[:limit]
        return Examples(self.rows[rows], self.has[rows], self.width)

    def moved(self, step: Latents | Float64Array) -> Rows:
        """The inputs of the generator with ``step`` ``(width,)`` added to each latent."""
        found = self.rows.copy()
        found[:, : self.width] = self.latents + step
        return found


def attributes(
    folder: Path, options: AttributesOptions, check: Callable[[Sequence[str]], None]
) -> AttributesRecord:
    """Find the directions of the run or the published version in ``folder``; print their effects.

    ``check`` is called with the names of the attributes before directions are found, which takes
    minutes.

    They are written to ``options.out``, else into the folder of a run, from where ``export`` takes
    them into the card.
    """
    devices.limit_threads()
    device = devices.resolve(options.device)
    model = loaded_model.load(folder, device, options.checkpoint)
    default = None if model.step is None else Run(folder).edits
    by = recogniser.of(model, options)
    check(by.spec.names)
    record = measure(model, by, device, options.count)
    print(*record.table(), sep="\n")
    if missing := [name for name in by.spec.names if name not in record.edits]:
        print(f"left out: {', '.join(missing)}; too few images have it, or no direction adds it")
    if out := options.out or default:
        record.write(out)
        print(f"written to {out}")
    return record


def measure(
    model: LoadedModel, by: Recogniser, device: torch.device, count: int
) -> AttributesRecord:
    """The edits of ``model``, found and measured on the images of the seeds 0 to ``count`` - 1.

    Attributes are those that ``by`` recognises.
    """
    began, spec = time.perf_counter(), by.spec
    network = by.network.to(device)
    predict, logits = _prediction(model, network, spec), _logits(model, network, device)
    rows, half = model.rows(range(count)), count // 2
    has = predict(rows, bar(f"generating {count} images"), bar("attributes of generated images"))
    finding, held_out = (
        Examples(rows[part], has[part], model.latent.width)
        for part in (slice(half), slice(half, None))
    )
    return AttributesRecord(
        subject=model.title,
        step=model.step,
        dataset=model.dataset,
        feature_network=FeatureNetwork.of(spec),
        count=count,
        protocol=PROTOCOL.format(
            steered=STEERED if logits else "",
            network=by.description,
            tried=LENGTH_IMAGES,
            judged=EFFECT_IMAGES,
            strength=STRENGTH,
            last_found=half - 1,
            first_judged=half,
            last=count - 1,
        ),
        edits=find_edits(finding, held_out, spec.names, predict, logits),
        device=devices.describe(device, "fp32"),
        seconds=round(time.perf_counter() - began, 1),
    )


def find_edits(
    finding: Examples,
    held_out: Examples,
    names: Sequence[str],
    predict: Predict,
    logits: Logits | None = None,
) -> dict[str, AttributeEdit]:
    """The edits of the attributes ``names``, found on ``finding`` and measured on ``held_out``.

    Directions are steered if there are ``logits``. An attribute has no edit if too few images have
    it or do not have it, or if the direction that adds it to half of the images would have to be
    longer than a latent.
    """
    longest = float(np.linalg.norm(finding.latents, axis=1).mean())
    edits = {}
    found = directions.find_directions(finding.latents, finding.has)
    for k, direction in enumerate(tqdm(found, unit="attribute")):
        if finding.is_rare(k) or held_out.is_rare(k):
            continue
        few = finding.without(k, LENGTH_IMAGES)
        step = scale_to_half(direction, few, k, longest, predict)
        if step is not None and logits:
            without = finding.without(k, len(finding.rows))
            steered = steering.steer(STRENGTH * step, without.rows, without.has, k, logits)
            step = scale_to_half(steered, few, k, longest, predict)
        if step is not None:
            edits[names[k]] = _measure_edit(step, held_out, k, names, predict)
    return edits


def scale_to_half(
    direction: Float64Array | Latents,
    without: Examples,
    attribute: int,
    longest: float,
    predict: Predict,
) -> Latents | None:
    """``direction`` scaled so that it adds ``attribute`` to half of ``without``: ``(width,)``.

    None if it would have to be longer than ``longest``.
    """
    unit = direction / np.linalg.norm(direction)

    def gained(length: float) -> float:
        after = predict(without.moved(length * unit))
        return directions.edit_effect(without.has, after, attribute).gained

    length = directions.length_for_half(gained, longest)
    return None if length is None else np.round(length * unit, DECIMALS).astype(np.float32)


def _measure_edit(
    step: Latents, held_out: Examples, attribute: int, names: Sequence[str], predict: Predict
) -> AttributeEdit:
    """The effect of ``step`` on images that it was not found on."""
    before = held_out.without(attribute, EFFECT_IMAGES)
    after = predict(before.moved(STRENGTH * step))
    gained, kept = directions.edit_effect(before.has, after, attribute)
    others = [name for k, name in enumerate(names) if k != attribute]
    return AttributeEdit(
        share=float(held_out.has[:, attribute].mean()),
        direction=Direction(
            vector=[round(number, DECIMALS) for number in step.tolist()],
            gained=gained,
            kept=float(kept.mean()) if len(kept) else 1.0,
        ),
        kept=dict(zip(others, kept.tolist(), strict=True)),
    )


def _prediction(
    model: LoadedModel, network: nn.Sequential, spec: NetworkSpec
) -> Callable[..., Attributes]:
    """Generates the images of rows and predicts their attributes."""

    def predict(rows: Rows, generating: Track = iter, extracting: Track = iter) -> Attributes:
        images = of_latents(model.draw, rows, generating)
        return features.extract(network, images, spec, extracting).labels

    return predict


def _logits(model: LoadedModel, network: nn.Sequential, device: torch.device) -> Logits | None:
    """The logits of the attributes of generated images.

    None for a published version: its ONNX graph has no gradients.
    """
    generator = model.generator
    if generator is None:
        return None
    network.requires_grad_(False)
    generator.requires_grad_(False)

    def logits(rows: Tensor) -> Tensor:
        with hardware.autocast(device, "auto"):
            predicted: Tensor = network(generator(rows.to(device)))
        return predicted.float().cpu()

    return logits
