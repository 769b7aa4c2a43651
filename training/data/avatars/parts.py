"""The parts that faces are composed of, and how often each is used.

The names are those of python-avatars' enumerations. Only the parts of the original Avataaars are
used: the others come from blush.design, a site with terms of its own. Parts that hardly anybody
wears (an eyepatch, heart eyes, vomit) are left out, as is hair whose colour cannot be chosen.
"""

from collections.abc import Mapping

Weights = Mapping[str, float]
"""Relative frequency of each name, in any unit."""

SKIN = ("#FFDBB4", "#EDB98A", "#D08B5B", "#AE5D29", "#614335")
"""From light to dark; tones between two neighbours are used too."""
DARK = 0.55
"""Tone, from 0 to 1, from which skin counts as dark."""

BACKGROUNDS = (
    "#55688C",
    "#7F93C4",
    "#8FBFE0",
    "#83CBC0",
    "#A8D5A2",
    "#E6DFA0",
    "#F3C7A2",
    "#EFA39D",
    "#C79BC9",
    "#E9E4DC",
)
"""A gradient through soft colours; colours between two neighbours are used too."""

LONG: Weights = {
    "STRAIGHT_1": 3,
    "STRAIGHT_STRAND": 2,
    "BOB": 3,
    "LONG_NOT_TOO_LONG": 2,
    "MIA_WALLACE": 2,
    "CURVY": 2,
    "CURLY": 2,
    "BIG_HAIR": 2,
    "FRO": 1,
    "DREADS": 1,
}
SHORT: Weights = {
    "SHORT_FLAT": 3,
    "SHORT_ROUND": 3,
    "SHORT_WAVED": 3,
    "SHORT_CURLY": 3,
    "CAESAR": 2,
    "CAESAR_SIDE_PART": 2,
    "SHAGGY": 2,
    "SHORT_DREADS_1": 2,
    "FRIZZLE": 1,
    "BUN": 2,
}
BALD = "NONE"
HATS: Weights = {
    "HAT": 3,
    "WINTER_HAT_1": 2,
    "WINTER_HAT_2": 2,
    "WINTER_HAT_3": 3,
    "TURBAN": 1,
    "HIJAB": 2,
}
HAIR_COLOURS: Weights = {
    "BLACK": 20,
    "BROWN_DARK": 15,
    "BROWN": 22,
    "BLONDE": 10,
    "BLONDE_GOLDEN": 12,
    "RED": 8,
    "SILVER_GRAY": 12,
}

CLEAR: Weights = {"PRESCRIPTION_2": 3, "ROUND": 2, "PRESCRIPTION_1": 1}
TINTED: Weights = {"SUNGLASSES": 2, "WAYFARERS": 2, "KURT": 1}
BEARDS: Weights = {"BEARD_LIGHT": 2, "BEARD_MEDIUM": 3, "BEARD_MAGESTIC": 1}
MOUSTACHES: Weights = {"MOUSTACHE_FANCY": 1, "MOUSTACHE_MAGNUM": 1}

EYES: Weights = {"DEFAULT": 10, "SIDE": 2, "SQUINT": 2, "WINK": 1, "CLOSED": 1, "HAPPY": 2}
EYEBROWS: Weights = {
    "DEFAULT_NATURAL": 3,
    "FLAT_NATURAL": 2,
    "RAISED_EXCITED_NATURAL": 2,
    "UP_DOWN_NATURAL": 1,
    "DEFAULT": 1,
}
MOUTHS: Weights = {"SMILE": 5, "TWINKLE": 3, "DEFAULT": 2, "SERIOUS": 5, "SAD": 3, "CONCERNED": 2}

CLOTHES: Weights = {
    "BLAZER_SHIRT": 2,
    "BLAZER_SWEATER": 2,
    "COLLAR_SWEATER": 2,
    "HOODIE": 2,
    "OVERALL": 1,
    "SHIRT_CREW_NECK": 3,
    "SHIRT_SCOOP_NECK": 2,
    "SHIRT_V_NECK": 2,
}
CLOTH: Weights = {
    "BLACK": 1,
    "BLUE_01": 1,
    "BLUE_02": 1,
    "BLUE_03": 1,
    "GRAY_01": 1,
    "GRAY_02": 1,
    "HEATHER": 1,
    "PASTEL_BLUE": 1,
    "PASTEL_GREEN": 1,
    "PASTEL_ORANGE": 1,
    "PASTEL_YELLOW": 1,
    "PINK": 1,
    "RED": 1,
    "WHITE": 1,
}
"""Colours of clothes and hats."""
