"""Figure of latent arithmetic: Radford et al. 2015 (arXiv 1511.06434), section 6.3.2, figure 7."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from app.latent import sampling
from app.latent.arithmetic import Neighbourhood, sum_of_means
from app.latent.sampling import Latents
from training.evaluation import features
from training.evaluation.features import NetworkSpec
from training.evaluation.loaded_model import LoadedModel
from training.figures.canvas import CAPTION_HEIGHT, LINE_WIDTH, Canvas, grid
from training.image_size import ImageSize

EQUATIONS: dict[str, Sequence[tuple[str, str, str]]] = {
    "fashion-mnist": (
        ("pullover", "t-shirt", "dress"),
        ("trouser", "dress", "shirt"),
    ),
    "mnist": (("8", "3", "5"),),
    "avatars": (
        ("glasses", "no glasses", "long hair"),
        ("dark beard", "dark hair", "blond hair"),
    ),
}
"""The terms A, B and C of A - B + C, by data set: classes, or keys of TERMS."""

_PLAIN = {"hat": False, "bald": False, "beard": False, "moustache": False, "long_hair": False}
TERMS: dict[str, dict[str, bool]] = {
    "glasses": {**_PLAIN, "glasses": True, "sunglasses": False},
    "no glasses": {**_PLAIN, "glasses": False},
    "long hair": {**_PLAIN, "glasses": False, "long_hair": True},
    "dark beard": {**_PLAIN, "dark_hair": True, "beard": True},
    "dark hair": {**_PLAIN, "dark_hair": True},
    "blond hair": {**_PLAIN, "blond_hair": True},
}
"""Terms for faces: the attributes that an image must have (True) or must not have (False)."""

GROUP = 3
"""Number of seeds whose latents are averaged: the paper found single ones unstable."""
NOISE = 0.25
"""Range of the noise around the result, as in ``POST /arithmetic``."""

CANDIDATES = 1000
"""Number of seeds among which those of an equation are chosen."""

_GAP, _TITLE_WIDTH = 28, 68

Equation = tuple[tuple[str, str, str], list[int]]
"""The terms A, B and C, and their seeds in this order, ``GROUP`` for each term."""

Probabilities = NDArray[np.float32]


def choose_equations(model: LoadedModel, seed: int) -> list[Equation]:
    """The EQUATIONS of the data set, with the seeds whose images match their terms best.

    The seeds are chosen from a thousand, from ``seed`` on, by the feature network. An equation is
    left out if fewer than ``GROUP`` images match one of its terms. If there is no feature network
    or no equation, the result is one equation of consecutive seeds.
    """
    unnamed: Equation = (("A", "B", "C"), sampling.consecutive(seed, 3 * GROUP))
    spec = features.spec_for(model.dataset, model.image_shape)
    if spec is None:
        return [unnamed]
    candidates = sampling.consecutive(seed, CANDIDATES)
    probabilities = label_probabilities(spec, model.images(CANDIDATES, seed))
    chosen = []
    for terms in EQUATIONS.get(model.dataset, ()):
        groups = [best_group(match_scores(term, probabilities, spec)) for term in terms]
        if all(len(group) == GROUP for group in groups):
            chosen.append((terms, [candidates[k] for group in groups for k in group]))
    return chosen or [unnamed]


def label_probabilities(spec: NetworkSpec, pixels: NDArray[np.uint8]) -> Probabilities:
    """Probability of each class or attribute for images ``(n, c, h, w)``: ``(n, k)``."""
    network = features.load(spec)
    _, head = network
    with torch.no_grad():
        logits = head(torch.from_numpy(features.extract(network, pixels, spec).features))
    found: Probabilities = (logits.softmax(dim=1) if spec.exclusive else logits.sigmoid()).numpy()
    return found


def match_scores(term: str, probabilities: Probabilities, spec: NetworkSpec) -> Probabilities:
    """Probability that each image matches ``term``, a class or a key of TERMS: ``(n,)``.

    0 for an image in which another class is likelier, or an attribute is likelier wrong than right.
    """
    if spec.exclusive:
        k = spec.names.index(term)
        return np.where(probabilities.argmax(axis=1) == k, probabilities[:, k], 0)
    required = TERMS[term]
    columns = probabilities[:, [spec.names.index(attribute) for attribute in required]]
    correct = np.where(list(required.values()), columns, 1 - columns)
    return np.where((correct > 0.5).all(axis=1), correct.prod(axis=1), 0)


def best_group(scores: Probabilities) -> list[int]:
    """The indices of the ``GROUP`` highest of ``scores`` ``(n,)``, without scores of zero."""
    highest = np.argsort(-scores, kind="stable")[:GROUP]
    return [int(k) for k in highest if scores[k] > 0]


def group_means(z: Latents) -> Latents:
    """The mean of each group of latents ``(3 * GROUP, width)``: ``(3, width)``."""
    averaged: Latents = z.reshape(3, GROUP, -1).mean(axis=1)
    return averaged


def result_latents(z: Latents, seed: int) -> Latents:
    """mean(A) - mean(B) + mean(C) of the groups in ``z`` ``(3 * GROUP, width)``: ``(9, width)``.

    The result is in the middle; uniform noise of ``seed`` from -0.25 to 0.25 is added to the other
    eight. The server's ``POST /arithmetic`` generates the same images from the same seeds.
    """
    first, second, third = z.reshape(3, GROUP, -1)
    return Neighbourhood(seed, NOISE, 3, 3).latents_around(sum_of_means([first, third], [second]))


def sheet(model: LoadedModel, seed: int, scale: int) -> bytes:
    """The equations as a PNG, one below the other.

    Each group's images are above the image of their mean; then follows the result, framed, among
    the images with noise.
    """
    equations = choose_equations(model, seed)
    cell = ImageSize(*(side * scale for side in ImageSize.of_shape(model.image_shape)))
    line = LINE_WIDTH * scale
    three = ImageSize(*(3 * side + 2 * line for side in cell))
    height = CAPTION_HEIGHT + three.height + _GAP // 2 + cell.height
    pitch = max(cell.width, _TITLE_WIDTH) + _GAP
    canvas = Canvas(3 * pitch + three.width, len(equations) * (height + _GAP) - _GAP)
    for k, (terms, seeds) in enumerate(equations):
        top, z = k * (height + _GAP), model.latents(seeds)
        drawn = model.draw(np.concatenate([z, group_means(z), result_latents(z, seeds[0])]))
        for i, (term, sign) in enumerate(zip(terms, "-+=", strict=True)):
            left = i * pitch + (pitch - _GAP - cell.width) // 2
            below = top + height - cell.height
            group, mean = drawn[i * GROUP : (i + 1) * GROUP], drawn[9 + i : 10 + i]
            canvas.write(term, left + cell.width // 2, top + CAPTION_HEIGHT // 2)
            canvas.paste(grid(group, 1, scale), left, top + CAPTION_HEIGHT)
            canvas.paste(grid(mean, 1, scale), left, below)
            canvas.write(sign, (i + 1) * pitch - _GAP // 2, below + cell.height // 2, size=24)
        left, upper = 3 * pitch, top + height - three.height
        canvas.write("result", left + three.width // 2, upper - CAPTION_HEIGHT // 2)
        canvas.paste(grid(drawn[12:], 3, scale), left, upper)
        canvas.frame(left + cell.width + line, upper + cell.height + line, cell, line)
    return canvas.png()
