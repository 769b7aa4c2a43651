from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.avatars import parts
from training.data.avatars.faces import (
    ATTRIBUTES,
    Face,
    attributes_of,
    interpolate_colours,
    sample_face,
)

MANY = 4000
COLOURS = ("dark_hair", "brown_hair", "blond_hair", "red_hair", "grey_hair")


@pytest.fixture(scope="module")
def crowd() -> list[Face]:
    return [sample_face(0, number) for number in range(MANY)]


@pytest.fixture(scope="module")
def table(crowd: list[Face]) -> dict[str, NDArray[np.bool_]]:
    attributes = np.array([attributes_of(face) for face in crowd])
    return dict(zip(ATTRIBUTES, attributes.T, strict=True))


# Sampling.


def test_a_face_depends_on_its_seed_and_its_number_alone(crowd: list[Face]) -> None:
    for number in (0, 17, MANY - 1):
        assert sample_face(0, number) == crowd[number]
    assert len(set(crowd)) == MANY
    assert not {sample_face(1, number) for number in range(100)} & set(crowd)


def test_a_number_gives_the_same_face_as_long_as_the_file_format_is_the_same() -> None:
    # If this changes, FORMAT must be incremented.
    assert sample_face(0, 1) == Face(
        hair="CAESAR",
        hat="",
        hair_colour="BLACK",
        beard="BEARD_MEDIUM",
        moustache="",
        glasses="",
        tone=0.12755822648228032,
        eyes="SIDE",
        eyebrows="DEFAULT_NATURAL",
        mouth="SMILE",
        clothes="COLLAR_SWEATER",
        cloth="BLUE_03",
        hat_cloth="PASTEL_ORANGE",
        background="#a4d4a5",
    )


# Attributes.


def test_attributes_are_consistent(table: dict[str, NDArray[np.bool_]]) -> None:
    def never(first: str, second: str) -> bool:
        return not (table[first] & table[second]).any()

    assert (table["glasses"] | ~table["sunglasses"]).all()
    assert never("beard", "moustache")
    for one, other in (("long_hair", "bald"), ("long_hair", "hat"), ("bald", "hat")):
        assert never(one, other)
    seen = np.sum([table[colour] for colour in COLOURS], axis=0)
    in_the_face = table["beard"] | table["moustache"]
    np.testing.assert_array_equal(seen, ~(table["hat"] | table["bald"]) | in_the_face)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("glasses", 0.37, 0.43),
        ("sunglasses", 0.09, 0.15),
        ("beard", 0.22, 0.30),
        ("moustache", 0.04, 0.08),
        ("long_hair", 0.36, 0.44),
        ("bald", 0.06, 0.11),
        ("hat", 0.12, 0.18),
        *((colour, 0.05, 0.4) for colour in COLOURS),
        ("dark_skin", 0.41, 0.49),
        ("smile", 0.46, 0.54),
        ("open_mouth", 0.4, 0.5),
        ("closed_eyes", 0.12, 0.2),
    ],
)
def test_every_attribute_is_common_enough_to_be_learned(
    table: dict[str, NDArray[np.bool_]], name: str, least: float, most: float
) -> None:
    assert least < table[name].mean() < most


def test_the_list_above_has_every_attribute() -> None:
    (marks,) = test_every_attribute_is_common_enough_to_be_learned.pytestmark
    assert [row[0] for row in marks.args[1]] == list(ATTRIBUTES)


@pytest.mark.parametrize("name", ["glasses", "dark_skin", "smile", "closed_eyes"])
def test_attributes_are_independent(table: dict[str, NDArray[np.bool_]], name: str) -> None:
    kin = {name} | {"glasses": {"sunglasses"}, "smile": {"open_mouth"}}.get(name, set())
    for other in ATTRIBUTES.keys() - kin:
        assert abs(np.corrcoef(table[name], table[other])[0, 1]) < 0.06, other


def test_no_possible_pair_of_attributes_is_rare(table: dict[str, NDArray[np.bool_]]) -> None:
    """Latent arithmetic needs faces that have both attributes."""
    for one in ("glasses", "smile", "dark_skin"):
        for other in ("beard", "long_hair", "hat", "dark_hair", "blond_hair"):
            assert (table[one] & table[other]).mean() > 0.04, (one, other)
    assert (table["long_hair"] & table["beard"]).mean() > 0.02


def test_nobody_has_a_beard_under_a_hijab(crowd: list[Face]) -> None:
    covered = [face for face in crowd if face.hat == "HIJAB"]
    assert covered
    assert not any(face.beard or face.moustache for face in covered)


@pytest.mark.parametrize(
    ("feature", "tables"),
    [
        ("hair", (parts.LONG, parts.SHORT, {parts.BALD: 1})),
        ("hat", (parts.HATS, {"": 1})),
        ("hair_colour", (parts.HAIR_COLOURS,)),
        ("beard", (parts.BEARDS, {"": 1})),
        ("moustache", (parts.MOUSTACHES, {"": 1})),
        ("glasses", (parts.CLEAR, parts.TINTED, {"": 1})),
        ("eyes", (parts.EYES,)),
        ("eyebrows", (parts.EYEBROWS,)),
        ("mouth", (parts.MOUTHS,)),
        ("clothes", (parts.CLOTHES,)),
        ("cloth", (parts.CLOTH,)),
        ("hat_cloth", (parts.CLOTH,)),
    ],
)
def test_every_part_occurs(
    crowd: list[Face], feature: str, tables: tuple[parts.Weights, ...]
) -> None:
    chosen = Counter(getattr(face, feature) for face in crowd)
    assert chosen.keys() == {name for weights in tables for name in weights}


def test_parts_occur_as_often_as_their_weights_say(crowd: list[Face]) -> None:
    chosen = Counter(face.mouth for face in crowd)
    whole = sum(parts.MOUTHS.values())
    for name, weight in parts.MOUTHS.items():
        assert chosen[name] / MANY == pytest.approx(weight / whole, abs=0.03)


# Colours.


def test_a_gradient_passes_through_all_its_colours() -> None:
    scale = ("#000000", "#640000", "#64ff02")
    expected = {0: "#000000", 0.25: "#320000", 0.5: "#640000", 0.75: "#648001", 1: "#64ff02"}
    assert {place: interpolate_colours(scale, place) for place in expected} == expected


def test_skin_has_every_tone_of_its_gradient(crowd: list[Face]) -> None:
    assert Face(**{**vars(crowd[0]), "tone": 0.0}).skin == parts.SKIN[0].lower()
    assert Face(**{**vars(crowd[0]), "tone": 1.0}).skin == parts.SKIN[-1].lower()
    tones = np.sort([face.tone for face in crowd])
    assert np.diff(tones, prepend=0, append=1).max() < 0.01
