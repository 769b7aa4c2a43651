import dataclasses
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("python_avatars", reason="the extra 'avatars' is not installed")
pytest.importorskip("resvg_py", reason="the extra 'avatars' is not installed")

import python_avatars

from training.__main__ import main
from training.data.avatars import parts
from training.data.avatars.faces import Face
from training.data.avatars.rendering import compose, libraries, render

PLAIN = Face(
    hair="SHORT_FLAT",
    hat="",
    hair_colour="BLACK",
    beard="",
    moustache="",
    glasses="",
    tone=0.25,
    eyes="DEFAULT",
    eyebrows="DEFAULT_NATURAL",
    mouth="SERIOUS",
    clothes="SHIRT_CREW_NECK",
    cloth="RED",
    hat_cloth="BLACK",
    background="#3264c8",
)
"""Light skin, #edb98a, on a blue background."""

EVERY = [
    *({"hair": name} for name in (*parts.LONG, *parts.SHORT, parts.BALD)),
    *({"hat": name} for name in parts.HATS),
    *({"hair_colour": name} for name in parts.HAIR_COLOURS),
    *({"beard": name} for name in parts.BEARDS),
    *({"moustache": name} for name in parts.MOUSTACHES),
    *({"glasses": name} for name in (*parts.CLEAR, *parts.TINTED)),
    *({"eyes": name} for name in parts.EYES),
    *({"eyebrows": name} for name in parts.EYEBROWS),
    *({"mouth": name} for name in parts.MOUTHS),
    *({"clothes": name} for name in parts.CLOTHES),
    *({"cloth": name} for name in parts.CLOTH),
]


def like(**features: Any) -> Face:
    return dataclasses.replace(PLAIN, **features)


def changed(one: Face, other: Face) -> tuple[int, int, int, int]:
    """The box of the pixels that differ: its first and last row, its first and last column."""
    rows, columns = np.nonzero((render(one) != render(other)).any(axis=0))
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_a_face_is_rgb_on_its_background() -> None:
    pixels = render(PLAIN)
    assert (pixels.shape, pixels.dtype) == ((3, 64, 64), np.uint8)
    for row, column in ((0, 0), (0, 63), (32, 0), (32, 63)):
        assert pixels[:, row, column].tolist() == [0x32, 0x64, 0xC8]


def test_it_fills_the_image_from_its_hair_to_its_collar() -> None:
    skin = (render(like(tone=0.25)) == np.array([0xED, 0xB9, 0x8A])[:, None, None]).all(axis=0)
    rows, columns = np.nonzero(skin)
    assert rows.max() - rows.min() > 36
    assert 32 < columns.max() - columns.min() < 48
    assert abs(columns.max() + columns.min() - 63) <= 1  # in the middle
    red = (render(PLAIN) == np.array([0xFF, 0x5C, 0x5C])[:, None, None]).all(axis=0)
    assert red[-1].sum() > 20


def test_the_same_face_has_the_same_pixels() -> None:
    np.testing.assert_array_equal(render(PLAIN), render(like()))


@pytest.mark.parametrize("features", EVERY, ids=str)
def test_every_part_is_rendered_visibly(features: dict[str, str]) -> None:
    (feature,) = features
    nothing = (
        dataclasses.replace(PLAIN, **{feature: ""}) if feature in {"hat", "glasses"} else PLAIN
    )
    other = like(**features)
    if other == nothing:
        return
    assert np.any(render(other) != render(nothing))


# Each part changes only its own region.


@pytest.mark.parametrize(
    ("features", "box"),
    [
        *(({"glasses": name}, (23, 38, 12, 52)) for name in (*parts.CLEAR, *parts.TINTED)),
        *(({"mouth": name}, (41, 47, 26, 37)) for name in parts.MOUTHS if name != "SERIOUS"),
        *(({"eyes": name}, (28, 34, 19, 44)) for name in parts.EYES if name != "DEFAULT"),
        *(({"moustache": name}, (37, 43, 19, 45)) for name in parts.MOUSTACHES),
        *(({"beard": name}, (26, 63, 14, 50)) for name in parts.BEARDS),
        ({"clothes": "HOODIE"}, (52, 63, 8, 55)),
        ({"cloth": "PINK"}, (52, 63, 8, 55)),
        ({"hair_colour": "RED"}, (1, 26, 14, 50)),
    ],
    ids=str,
)
def test_a_part_changes_only_the_pixels_around_it(
    features: dict[str, str], box: tuple[int, int, int, int]
) -> None:
    top, bottom, left, right = changed(PLAIN, like(**features))
    assert top >= box[0]
    assert bottom <= box[1]
    assert left >= box[2]
    assert right <= box[3]


@pytest.mark.parametrize(
    "name", [name for name in (*parts.LONG, *parts.SHORT) if name != parts.BALD]
)
def test_hair_has_the_colour_that_was_chosen(name: str) -> None:
    colours = {render(like(hair=name, hair_colour=colour)).tobytes() for colour in ("RED", "BLACK")}
    assert len(colours) == 2
    red = render(like(hair=name, hair_colour="RED")).astype(int)
    plain = render(like(hair=name, hair_colour="SILVER_GRAY")).astype(int)
    recoloured = np.abs(red - plain).max(axis=0) > 40
    assert recoloured.sum() > 80


@pytest.mark.parametrize("name", parts.LONG)
def test_long_hair_reaches_the_neck_and_short_hair_does_not(name: str) -> None:
    def beside_the_chin(hair: str) -> int:
        bald = render(like(hair=parts.BALD))[:, 46:54]
        return int((render(like(hair=hair))[:, 46:54] != bald).any(axis=0).sum())

    assert beside_the_chin(name) > 30
    assert all(beside_the_chin(short) == 0 for short in parts.SHORT)


@pytest.mark.parametrize("name", parts.HATS)
def test_a_hat_hides_all_of_the_hair(name: str) -> None:
    long, short = (render(like(hat=name, hair=hair)) for hair in ("BOB", "CAESAR"))
    np.testing.assert_array_equal(long, short)
    assert np.any(long != render(PLAIN))


def test_skin_gets_darker_with_its_tone() -> None:
    cheeks = [render(like(tone=tone))[:, 41, 20].sum() for tone in (0, 0.25, 0.5, 0.75, 1)]
    assert cheeks == sorted(cheeks, reverse=True)
    assert len(set(cheeks)) == 5


# The drawing libraries.


def test_the_parts_are_those_of_avataaars_itself() -> None:
    """In each enumeration those from blush.design follow the others, by the names below."""
    added = {
        python_avatars.HairType: "ASTRONAUT",
        python_avatars.AccessoryType: "SUNGLASSES_2",
        python_avatars.FacialHairType: "EINSTEIN_MOUSTACHE",
        python_avatars.MouthType: "BIG_SMILE",
        python_avatars.ClothingType: "ASTRONAUT_SUIT",
        python_avatars.HatType: "CHEF_CAP",
    }
    used = {
        python_avatars.HairType: [*parts.LONG, *parts.SHORT, parts.BALD],
        python_avatars.AccessoryType: [*parts.CLEAR, *parts.TINTED],
        python_avatars.FacialHairType: [*parts.BEARDS, *parts.MOUSTACHES],
        python_avatars.MouthType: parts.MOUTHS,
        python_avatars.ClothingType: parts.CLOTHES,
        python_avatars.HatType: parts.HATS,
    }
    for kind, first in added.items():
        names = [member.name for member in kind]
        assert set(used[kind]) <= set(names[: names.index(first)]), kind


def test_the_svg_has_no_background_and_no_text() -> None:
    document = compose(PLAIN)
    assert 'viewBox="0 0 264 280"' in document
    assert "<text" not in document


def test_libraries_returns_their_versions() -> None:
    assert libraries() == {name: version(name) for name in ("python-avatars", "resvg-py")}


@pytest.mark.parametrize("missing", ["python_avatars", "resvg_py"])
def test_a_missing_library_is_reported_in_one_line_with_how_to_install_it(
    missing: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["avatars", "--count", "1", "--out", str(tmp_path / "faces")]) == 1
    output = capsys.readouterr().err
    assert output.startswith("error: drawing faces needs python-avatars and resvg-py: ")
    assert "pip install '.[avatars]'" in output
    assert output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
