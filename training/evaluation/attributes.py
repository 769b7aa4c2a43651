"""``attributes``: the directions among a generator's latents that edit what it draws."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from app.artifact.card import Direction
from app.latent.sampling import Latents
from training.errors import EvaluationError
from training.evaluation import directions, features, steering, subject
from training.evaluation.directions import Array, Table
from training.evaluation.edits_record import Edit, Edits
from training.evaluation.evaluate import say, shipped_for
from training.evaluation.features import Shipped
from training.evaluation.options import Editing
from training.evaluation.records import FeatureNetwork
from training.evaluation.steering import Logits
from training.evaluation.subject import Subject
from training.gan import hardware
from training.gan.pixels import of_latents
from training.loop import device
from training.run.journal import Run

STRENGTH = 2
"""At which a direction is judged."""

RARE = 50
"""Images with an attribute, or without it, that are too few to find its direction by."""

DIGITS = 4
"""After the point, of a direction's numbers: as a card tells them, so they are measured."""

TRIED, JUDGED = 500, 2000
"""Images that a length is sought with, and that an edit is judged by, at most."""

STEERED = ", steered by gradient descent (Jahanian et al. 2020)"
PROTOCOL = (
    "ways that lead past the other attributes (conditional manipulation, Shen et al. 2020)"
    "{steered}, by what {network} sees in the images of seeds 0 to {last_found}; strength 1 gives "
    "an attribute to half of up to {tried} images without it; gained and kept: at strength "
    "{strength}, on up to {judged} images without it, of seeds {first_judged} to {last}"
)

See = Callable[[Latents], Table]
"""Which attributes the images of latents ``(n, width)`` have: ``(n, k)``."""


class Images(NamedTuple):
    """Some images."""

    z: Latents
    """``(n, width)``."""
    has: Table
    """Which attributes each has: ``(n, k)``."""

    def rare(self, attribute: int) -> bool:
        """Whether too few of them have ``attribute``, or lack it, to tell anything."""
        having = int(self.has[:, attribute].sum())
        return min(having, len(self.has) - having) < RARE

    def without(self, attribute: int, most: int) -> "Images":
        """The first of them that have not ``attribute``, ``most`` at most."""
        rows = np.flatnonzero(~self.has[:, attribute])[:most]
        return Images(self.z[rows], self.has[rows])


def attributes(folder: Path, options: Editing) -> None:
    """Find the directions of the run or the published version in ``folder``; print what they do.

    They are written where ``options`` say, else into a run's own folder, from where ``export``
    takes them into the card.
    """
    device.limit_threads()
    where = device.resolve(options.device)
    measured = subject.find(folder, where, options.checkpoint)
    own = None if measured.step is None else Run(folder).edits
    found = find(measured, where, options.count)
    print(*found.table(), sep="\n")
    if out := options.out or own:
        found.write(out)
        print(f"written to {out}")


def find(measured: Subject, where: torch.device, count: int) -> Edits:
    """The edits that the images of the seeds 0 to ``count`` - 1 show to be possible.

    Raises EvaluationError where no feature network tells the attributes of such images.
    """
    began, shipped = time.perf_counter(), shipped_for(measured)
    if shipped.exclusive:
        raise EvaluationError(
            f"{measured.title}: draws images of one class each, and of {measured.dataset} no "
            "attributes are known that could be edited"
        )
    see, slopes = _sight(measured, shipped, where), _slopes(measured, shipped, where)
    say(f"drawing {count} images and looking at them")
    z = measured.latents(range(count))
    has, half = see(z), count // 2
    found, judged = Images(z[:half], has[:half]), Images(z[half:], has[half:])
    return Edits(
        subject=measured.title,
        step=measured.step,
        dataset=measured.dataset,
        feature_network=FeatureNetwork.of(shipped),
        count=count,
        protocol=PROTOCOL.format(
            steered=STEERED if slopes else "",
            network=shipped.words,
            tried=TRIED,
            judged=JUDGED,
            strength=STRENGTH,
            last_found=half - 1,
            first_judged=half,
            last=count - 1,
        ),
        edits=edits(found, judged, shipped.names, see, slopes),
        device=device.describe(where, "fp32"),
        seconds=round(time.perf_counter() - began, 1),
    )


def edits(
    found: Images, judged: Images, names: Sequence[str], see: See, logits: Logits | None = None
) -> dict[str, Edit]:
    """The edit of each of ``names`` whose direction, seen in ``found``, leads to it.

    With ``logits`` it is steered. What they do is told from ``judged``. An attribute that too few
    images have, or lack, has no edit, nor has one whose direction would have to be longer than a
    latent to give it to half.
    """
    longest = float(np.linalg.norm(found.z, axis=1).mean())
    made = {}
    for k, way in enumerate(tqdm(directions.directions(found.z, found.has), unit="attribute")):
        if found.rare(k) or judged.rare(k):
            continue
        few, all_of_them = found.without(k, TRIED), found.without(k, len(found.z))
        step = scaled(way, few, k, longest, see)
        if step is not None and logits:
            step = scaled(
                steering.steered(STRENGTH * step, *all_of_them, k, logits), few, k, longest, see
            )
        if step is not None:
            made[names[k]] = _edit(step, judged, k, names, see)
    return made


def scaled(
    way: Array | Latents, without: Images, attribute: int, longest: float, see: See
) -> Latents | None:
    """``way`` as long as gives ``attribute`` to half of the images ``without`` it: ``(width,)``."""
    unit = way / np.linalg.norm(way)

    def gained(length: float) -> float:
        after = see((without.z + length * unit).astype(np.float32))
        return directions.effect(without.has, after, attribute).gained

    length = directions.length(gained, longest)
    return None if length is None else np.round(length * unit, DIGITS).astype(np.float32)


def _edit(step: Latents, judged: Images, attribute: int, names: Sequence[str], see: See) -> Edit:
    """What ``step`` does, by images that it was not found by."""
    before = judged.without(attribute, JUDGED)
    after = see(before.z + STRENGTH * step)
    gained, kept = directions.effect(before.has, after, attribute)
    others = [name for k, name in enumerate(names) if k != attribute]
    return Edit(
        share=float(judged.has[:, attribute].mean()),
        direction=Direction(
            vector=[round(number, DIGITS) for number in step.tolist()],
            gained=gained,
            kept=float(kept.mean()),
        ),
        kept=dict(zip(others, kept.tolist(), strict=True)),
    )


def _sight(measured: Subject, shipped: Shipped, where: torch.device) -> See:
    """Draws the images of latents and tells their attributes."""
    network = features.load(shipped).to(where)
    return lambda z: features.features(network, of_latents(measured.draw, z), shipped).labels


def _slopes(measured: Subject, shipped: Shipped, where: torch.device) -> Logits | None:
    """The logits of what a run's generator draws; the graph that is served has no slopes."""
    generator = measured.generator
    if generator is None:
        return None
    network = features.load(shipped).to(where).requires_grad_(False)
    generator.requires_grad_(False)

    def logits(z: Tensor) -> Tensor:
        with hardware.autocast(where, "auto"):
            told: Tensor = network(generator(z.to(where)))
        return told.float().cpu()

    return logits
