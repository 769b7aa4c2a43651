"""Who is drawn: one face's looks, chosen by its number, and what can be said of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.data.avatars import parts
from training.data.avatars.parts import Weights


@dataclass(frozen=True)
class Face:
    """How one face looks. An empty name is nothing of the kind."""

    hair: str
    hat: str
    """Hides the hair."""
    hair_colour: str
    """The beard's, too."""
    beard: str
    moustache: str
    """Empty where there is a beard."""
    glasses: str
    tone: float
    """Of the skin, from 0, light, to 1, dark."""
    eyes: str
    eyebrows: str
    mouth: str
    clothes: str
    cloth: str
    """The colour of the clothes."""
    hat_cloth: str
    background: str
    """As ``#rrggbb``."""

    @property
    def skin(self) -> str:
        """Its colour as ``#rrggbb``."""
        return between(parts.SKIN, self.tone)

    @property
    def hair_seen(self) -> str:
        """The colour of the hair that is seen, on the head or in the face; empty without any."""
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
    "dark_hair": lambda face: face.hair_seen in {"BLACK", "BROWN_DARK"},
    "brown_hair": lambda face: face.hair_seen == "BROWN",
    "blond_hair": lambda face: face.hair_seen in {"BLONDE", "BLONDE_GOLDEN"},
    "red_hair": lambda face: face.hair_seen == "RED",
    "grey_hair": lambda face: face.hair_seen == "SILVER_GRAY",
    "dark_skin": lambda face: face.tone >= parts.DARK,
    "smile": lambda face: face.mouth in {"SMILE", "TWINKLE", "DEFAULT"},
    "open_mouth": lambda face: face.mouth in {"SMILE", "DEFAULT", "CONCERNED"},
    "closed_eyes": lambda face: face.eyes in {"CLOSED", "HAPPY"},
}
"""What is told of every face, by what is seen of it. A beard includes its moustache, ``moustache``
is one alone; ``hat`` is whatever covers the head."""


def choose(seed: int, number: int) -> Face:
    """The looks of face ``number``, which depend on it and on ``seed`` alone.

    Each is chosen by itself, so that none tells another, but for these: whoever wears a hat has no
    hair to be seen, nobody has a beard under a hijab or a moustache beside one, and beards are
    rarer with long hair (one in eight) than without (two in five).
    """
    dice = _Dice(seed, number)
    styles = {"long": dice.of(parts.LONG), "short": dice.of(parts.SHORT), "bald": parts.BALD}
    length = dice.of({"long": 47, "short": 43, "bald": 10})
    hat = dice.maybe(0.15, parts.HATS)
    beard = dice.maybe(0.12 if length == "long" else 0.4, parts.BEARDS)
    moustache = dice.maybe(0.03 if length == "long" else 0.15, parts.MOUSTACHES)
    tinted = dice.maybe(0.3, parts.TINTED)
    clear = dice.of(parts.CLEAR)
    shaven = hat == "HIJAB"
    return Face(
        hair=styles[length],
        hat=hat,
        hair_colour=dice.of(parts.HAIR_COLOURS),
        beard="" if shaven else beard,
        moustache="" if shaven or beard else moustache,
        glasses=dice.maybe(0.4, {tinted or clear: 1}),
        tone=dice.roll(),
        eyes=dice.of(parts.EYES),
        eyebrows=dice.of(parts.EYEBROWS),
        mouth=dice.of(parts.MOUTHS),
        clothes=dice.of(parts.CLOTHES),
        cloth=dice.of(parts.CLOTH),
        hat_cloth=dice.of(parts.CLOTH),
        background=between(parts.BACKGROUNDS, dice.roll()),
    )


def described(face: Face) -> list[bool]:
    """The ``ATTRIBUTES`` of ``face``, in their order."""
    return [told(face) for told in ATTRIBUTES.values()]


def between(colours: Sequence[str], place: float) -> str:
    """The colour at ``place``, from 0 to 1, on the way through all of ``colours``: ``#rrggbb``."""
    stops = np.array([[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in colours])
    where = place * (len(colours) - 1)
    channels = [np.interp(where, range(len(colours)), stop) for stop in stops.T]
    return "#" + "".join(f"{round(float(channel)):02x}" for channel in channels)


class _Dice:
    """Chance that depends on two numbers alone.

    NumPy keeps the doubles of ``random`` for ever, which it does not promise of ``choice``
    (NEP 19).
    """

    def __init__(self, seed: int, number: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64((seed, number)))

    def roll(self) -> float:
        """A number of [0, 1)."""
        return float(self._generator.random())

    def of(self, weights: Weights) -> str:
        """One of the names, by their weights."""
        names, shares = list(weights), np.cumsum(list(weights.values()))
        return names[int(np.searchsorted(shares, self.roll() * shares[-1], side="right"))]

    def maybe(self, share: float, weights: Weights) -> str:
        """One of the names with a chance of ``share``, else none."""
        here, name = self.roll() < share, self.of(weights)
        return name if here else ""
