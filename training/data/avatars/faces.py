"""Samples the features of a face from its number, and derives its attributes from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.data.avatars import parts
from training.data.avatars.parts import Weights


@dataclass(frozen=True)
class Face:
    """The features of one face. An empty name means that the face has no such feature."""

    hair: str
    hat: str
    """A hat hides the hair."""
    hair_colour: str
    """Also the colour of the beard or moustache."""
    beard: str
    moustache: str
    """Empty if there is a beard."""
    glasses: str
    tone: float
    """Skin tone from 0, light, to 1, dark."""
    eyes: str
    eyebrows: str
    mouth: str
    clothes: str
    cloth: str
    """Colour of the clothes."""
    hat_cloth: str
    background: str
    """As ``#rrggbb``."""

    @property
    def skin(self) -> str:
        """Skin colour as ``#rrggbb``."""
        return interpolate_colours(parts.SKIN, self.tone)

    @property
    def visible_hair(self) -> str:
        """Colour of the visible hair or beard; empty if there is none."""
        on_head = not self.hat and self.hair != parts.BALD
        return self.hair_colour if on_head or self.beard or self.moustache else ""


ATTRIBUTES: Mapping[str, Callable[[Face], bool]] = {
    "glasses": lambda face: bool(face.glasses),
    "sunglasses": lambda face: face.glasses in parts.TINTED,
    "beard": lambda face: bool(face.beard),
    "moustache": lambda face: bool(face.moustache),
    "long_hair": lambda face: not face.hat and face.hair in parts.LONG,
    "bald": lambda face: not face.hat and face.hair == parts.BALD,
    "hat": lambda face: bool(face.hat),
    "dark_hair": lambda face: face.visible_hair in {"BLACK", "BROWN_DARK"},
    "brown_hair": lambda face: face.visible_hair == "BROWN",
    "blond_hair": lambda face: face.visible_hair in {"BLONDE", "BLONDE_GOLDEN"},
    "red_hair": lambda face: face.visible_hair == "RED",
    "grey_hair": lambda face: face.visible_hair == "SILVER_GRAY",
    "dark_skin": lambda face: face.tone >= parts.DARK,
    "smile": lambda face: face.mouth in {"SMILE", "TWINKLE", "DEFAULT"},
    "open_mouth": lambda face: face.mouth in {"SMILE", "DEFAULT", "CONCERNED"},
    "closed_eyes": lambda face: face.eyes in {"CLOSED", "HAPPY"},
}
"""The attributes of a face, decided by what is visible. ``moustache`` is one without a beard;
``hat`` is any cover of the head."""


def sample_face(seed: int, number: int) -> Face:
    """Face ``number`` of ``seed``; it depends on these two numbers only.

    All features are sampled independently, with these exceptions: a hat hides the hair, a hijab
    excludes beard and moustache, a beard excludes a separate moustache, and beards are rarer with
    long hair (one in eight) than without (two in five).
    """
    random = _Random(seed, number)
    long, short = random.choice(parts.LONG), random.choice(parts.SHORT)
    length = random.choice({"long": 47, "short": 43, "bald": 10})
    hat = random.optional(0.15, parts.HATS)
    beard = random.optional(0.12 if length == "long" else 0.4, parts.BEARDS)
    moustache = random.optional(0.03 if length == "long" else 0.15, parts.MOUSTACHES)
    tinted = random.optional(0.3, parts.TINTED)
    clear = random.choice(parts.CLEAR)
    shaven = hat == "HIJAB"
    return Face(
        hair={"long": long, "short": short, "bald": parts.BALD}[length],
        hat=hat,
        hair_colour=random.choice(parts.HAIR_COLOURS),
        beard="" if shaven else beard,
        moustache="" if shaven or beard else moustache,
        glasses=random.optional(0.4, {tinted or clear: 1}),
        tone=random.uniform(),
        eyes=random.choice(parts.EYES),
        eyebrows=random.choice(parts.EYEBROWS),
        mouth=random.choice(parts.MOUTHS),
        clothes=random.choice(parts.CLOTHES),
        cloth=random.choice(parts.CLOTH),
        hat_cloth=random.choice(parts.CLOTH),
        background=interpolate_colours(parts.BACKGROUNDS, random.uniform()),
    )


def attributes_of(face: Face) -> list[bool]:
    """Which of ``ATTRIBUTES`` ``face`` has, in their order."""
    return [has_attribute(face) for has_attribute in ATTRIBUTES.values()]


def interpolate_colours(colours: Sequence[str], position: float) -> str:
    """The colour at ``position``, 0 to 1, of the gradient through ``colours``, as ``#rrggbb``."""
    stops = np.array([[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in colours])
    scaled = position * (len(colours) - 1)
    channels = [np.interp(scaled, range(len(colours)), stop) for stop in stops.T]
    return "#" + "".join(f"{round(float(channel)):02x}" for channel in channels)


class _Random:
    """A random number generator seeded by two numbers.

    It only uses ``random``, whose doubles NumPy guarantees not to change; it gives no such
    guarantee for ``choice`` (NEP 19).
    """

    def __init__(self, seed: int, number: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64((seed, number)))

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return float(self._generator.random())

    def choice(self, weights: Weights) -> str:
        """One of the names, with probabilities proportional to their weights."""
        names, shares = list(weights), np.cumsum(list(weights.values()))
        return names[int(np.searchsorted(shares, self.uniform() * shares[-1], side="right"))]

    def optional(self, probability: float, weights: Weights) -> str:
        """One of the names with this ``probability``, else an empty string."""
        present, name = self.uniform() < probability, self.choice(weights)
        return name if present else ""
