"""Arithmetic on latents (Radford et al. 2015, arXiv 1511.06434, section 6.3.2 and figure 7)."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from app.latent import sampling
from app.latent.arithmetic import Neighbourhood, sum_of_means
from app.latent.sampling import Latents
from training.evaluation import features
from training.evaluation.features import SHIPPED, Shipped
from training.evaluation.subject import Subject
from training.figures.canvas import LINE, WORDS, Canvas, grid

EQUATIONS: dict[str, Sequence[tuple[str, str, str]]] = {
    "fashion-mnist": (
        ("pullover", "T-shirt/top", "dress"),
        ("trouser", "dress", "shirt"),
    ),
    "avatars": (
        ("glasses", "no glasses", "long hair"),
        ("dark beard", "dark hair", "blond hair"),
    ),
}
"""What A, B and C of A - B + C show, by data set: classes, or looks."""

_PLAIN = {"hat": False, "bald": False, "beard": False, "moustache": False, "long_hair": False}
LOOKS: dict[str, dict[str, bool]] = {
    "glasses": {**_PLAIN, "glasses": True, "sunglasses": False},
    "no glasses": {**_PLAIN, "glasses": False},
    "long hair": {**_PLAIN, "glasses": False, "long_hair": True},
    "dark beard": {**_PLAIN, "dark_hair": True, "beard": True},
    "dark hair": {**_PLAIN, "dark_hair": True},
    "blond hair": {**_PLAIN, "blond_hair": True},
}
"""Of faces: which attributes they have, and which they have not."""

GROUP = 3
"""Seeds whose latents are averaged: the paper finds one alone unstable."""
NOISE = 0.25

_CANDIDATES = 1000
_GAP, _TITLE = 28, 68

Sum = tuple[tuple[str, str, str], list[int]]
"""The names of A, B and C, and their seeds: ``GROUP`` each, in this order."""

Certainty = NDArray[np.float32]
"""Probabilities in 0…1."""


def sums(subject: Subject, seed: int) -> list[Sum]:
    """What to add: EQUATIONS where a shipped network can tell what they show, else seeds in a row.

    The seeds are those, of a thousand from ``seed`` on, whose images show it most surely by that
    network. An equation is left out where fewer than three show one of its parts.
    """
    unnamed: Sum = (("A", "B", "C"), sampling.consecutive(seed, 3 * GROUP))
    shipped = SHIPPED.get(subject.dataset)
    if shipped is None or shipped.image_shape != subject.image_shape:
        return [unnamed]
    candidates = sampling.consecutive(seed, _CANDIDATES)
    sure = certainty(shipped, subject.images(_CANDIDATES, seed))
    chosen = []
    for names in EQUATIONS[subject.dataset]:
        groups = [best(showing(name, sure, shipped)) for name in names]
        if all(len(group) == GROUP for group in groups):
            chosen.append((names, [candidates[k] for group in groups for k in group]))
    return chosen or [unnamed]


def certainty(shipped: Shipped, pixels: NDArray[np.uint8]) -> Certainty:
    """How sure the network is of each of its names, for ``pixels`` ``(n, c, h, w)``: ``(n, k)``."""
    network = features.load(shipped)
    _, head = network
    with torch.no_grad():
        logits = head(torch.from_numpy(features.features(network, pixels, shipped).features))
    shares: Certainty = (logits.softmax(dim=1) if shipped.exclusive else logits.sigmoid()).numpy()
    return shares


def showing(name: str, sure: Certainty, shipped: Shipped) -> Certainty:
    """How surely each image shows ``name``, a class or one of LOOKS: ``(n,)``; 0 if it does not."""
    if shipped.exclusive:
        k = shipped.names.index(name)
        return np.where(sure.argmax(axis=1) == k, sure[:, k], 0)
    look = LOOKS[name]
    columns = sure[:, [shipped.names.index(attribute) for attribute in look]]
    right = np.where(list(look.values()), columns, 1 - columns)
    return np.where((right > 0.5).all(axis=1), right.prod(axis=1), 0)


def best(scores: Certainty) -> list[int]:
    """Which ``GROUP`` of ``scores`` ``(n,)`` are the highest; fewer where they are zero."""
    highest = np.argsort(-scores, kind="stable")[:GROUP]
    return [int(k) for k in highest if scores[k] > 0]


def means(z: Latents) -> Latents:
    """The mean of each ``GROUP`` of latents ``(3 * GROUP, width)``: ``(3, width)``."""
    averaged: Latents = z.reshape(3, GROUP, -1).mean(axis=1)
    return averaged


def around(z: Latents, seed: int) -> Latents:
    """mean(A) - mean(B) + mean(C), the groups in ``z`` ``(3 * GROUP, width)``: ``(9, width)``.

    It is in the middle of uniform noise from -0.25 to 0.25, that of ``seed``: what the server's
    ``POST /arithmetic`` draws of the same seeds.
    """
    first, second, third = z.reshape(3, GROUP, -1)
    return Neighbourhood(seed, NOISE, 3, 3).latents_around(sum_of_means([first, third], [second]))


def sheet(subject: Subject, seed: int, scale: int) -> bytes:
    """The sums as a PNG, one below the other.

    Each group's images above the image of their mean, then the result, framed, amid the images of
    its noisy kin.
    """
    added = sums(subject, seed)
    cell = subject.image_shape[1] * scale
    three = 3 * cell + 2 * LINE * scale
    height = WORDS + three + _GAP // 2 + cell
    pitch = max(cell, _TITLE) + _GAP
    canvas = Canvas(3 * pitch + three, len(added) * (height + _GAP) - _GAP)
    for k, (names, seeds) in enumerate(added):
        top, z = k * (height + _GAP), subject.latents(seeds)
        mean = means(z)
        drawn = subject.draw(np.concatenate([z, mean, around(z, seeds[0])]))
        for i, (name, sign) in enumerate(zip(names, "-+=", strict=True)):
            left, below = i * pitch + (pitch - _GAP - cell) // 2, top + height - cell
            canvas.write(name, left + cell // 2, top + WORDS // 2)
            canvas.paste(grid(drawn[i * GROUP : (i + 1) * GROUP], 1, scale), left, top + WORDS)
            canvas.paste(grid(drawn[9 + i : 10 + i], 1, scale), left, below)
            canvas.write(sign, (i + 1) * pitch - _GAP // 2, below + cell // 2, size=24)
        left, upper, step = 3 * pitch, top + height - three, cell + LINE * scale
        canvas.write("result", left + three // 2, upper - WORDS // 2)
        canvas.paste(grid(drawn[12:], 3, scale), left, upper)
        canvas.frame(left + step, upper + step, cell, LINE * scale)
    return canvas.png()
