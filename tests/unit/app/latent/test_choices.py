import re

import numpy as np
import pytest

from app.latent import choices
from app.latent.choices import NO_CHOICE, ChosenAttributes, ChosenClasses
from app.latent.conditions import AttributeSampler, ClassSampler

SHOES = ClassSampler(("boot", "sneaker", "bag", "0"), (0.25,) * 4)
PEOPLE = AttributeSampler(
    names=("glasses", "blond", "brown"),
    patterns=(0b001, 0b010, 0b100),
    excludes={
        "glasses": frozenset(),
        "blond": frozenset({"brown"}),
        "brown": frozenset({"blond"}),
    },
)


def chosen(text: str) -> ChosenClasses:
    mixtures = [choices.parse_mixture(one) for one in text.split(",")]
    return ChosenClasses(SHOES, np.stack([choices.mixed(SHOES, one) for one in mixtures]))


@pytest.mark.parametrize(
    ("text", "condition", "canonical"),
    [
        ("sneaker", [0, 1, 0, 0], "sneaker"),
        ("SNEAKER", [0, 1, 0, 0], "sneaker"),
        ("1", [0, 1, 0, 0], "sneaker"),
        ("0", [0, 0, 0, 1], "0"),  # a name has precedence over an index
        ("sneaker:0.7+bag:0.3", [0, 0.7, 0.3, 0], "sneaker:0.7+bag:0.3"),
        ("bag:3 sneaker:7", [0, 0.7, 0.3, 0], "sneaker:0.7+bag:0.3"),
        ("sneaker+bag", [0, 0.5, 0.5, 0], "sneaker:0.5+bag:0.5"),
        ("sneaker:2+1:6+bag:8", [0, 0.5, 0.5, 0], "sneaker:0.5+bag:0.5"),
        ("sneaker:0+bag:9", [0, 0, 1, 0], "bag"),
        (
            "boot+sneaker+bag",
            [0.333333, 0.333333, 0.333333, 0],
            "boot:0.333333+sneaker:0.333333+bag:0.333333",
        ),
    ],
)
def test_a_class_or_mixture_has_a_condition_and_one_text(
    text: str, condition: list[float], canonical: str
) -> None:
    assert re.fullmatch(choices.MIXTURE_PATTERN, text)
    choice = chosen(text)
    np.testing.assert_array_equal(choice.conditions, np.float32([condition]))
    assert choice.parameters == {"class": canonical}
    # The text gives the same bits again.
    np.testing.assert_array_equal(chosen(canonical).conditions, choice.conditions)


@pytest.mark.parametrize("seed", range(20))
def test_the_text_of_any_mixture_gives_the_same_condition_again(seed: int) -> None:
    weights = np.random.default_rng(seed).random(4)
    mixture = dict(zip(SHOES.names, map(float, weights), strict=True))
    condition = choices.mixed(SHOES, mixture)
    assert condition.sum() == pytest.approx(1, abs=1e-5)
    again = choices.mixed(SHOES, choices.parse_mixture(SHOES.text(condition)))
    np.testing.assert_array_equal(again, condition)


@pytest.mark.parametrize(
    "text",
    ["", "sneaker:", "sneaker:-1", "a:nan", "a:1e3", "a b ", "+a", "-a", "a:1:2", "ä", "a\n"],
)
def test_other_texts_are_no_classes(text: str) -> None:
    assert not re.fullmatch(choices.MIXTURE_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sneaker:0", "at least one weight"),
        ("bag:0+sneaker:0.0", "at least one weight"),
        ("bag+bag", "names every class once"),
        ("bag:1001", "the weight of 'bag' is 1001.0, not 0 to 1000"),
    ],
)
def test_weights_that_cannot_be_mixed_are_refused(text: str, words: str) -> None:
    assert re.fullmatch(choices.MIXTURE_PATTERN, text)
    with pytest.raises(ValueError, match=words):
        choices.parse_mixture(text)


def test_names_that_differ_in_case_alone_are_the_same() -> None:
    with pytest.raises(ValueError, match="names every class once"):
        choices.checked({"bag": 1, "BAG": 3})
    with pytest.raises(ValueError, match="every attribute is named once"):
        choices.checked_amounts({"glasses": 1, "GLASSES": 0})
    assert choices.checked_amounts({"Glasses": 1, "BLOND": 0}) == {"glasses": 1, "blond": 0}


def test_a_mixture_as_text() -> None:
    for text in ("bag", "7", "bag:0.5+boot:20", "2+bag:0"):
        assert choices.mixture_text(choices.parse_mixture(text)) == text


def test_the_smallest_weights_are_scaled_like_others() -> None:
    condition = choices.mixed(SHOES, {"boot": 5e-324, "bag": 5e-324})
    assert condition.tolist() == [0.5, 0, 0.5, 0]


def test_an_unknown_class_is_named() -> None:
    for name in ("hat", "4", "-1"):
        with pytest.raises(KeyError, match=name):
            choices.mixed(SHOES, {"bag": 1, name: 1})


def test_classes_are_repeated_in_turn() -> None:
    choice = chosen("bag,boot")
    own = SHOES.from_seeds(range(5))
    assert choice(own)[:, [2, 0]].tolist() == [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]
    assert choice(own[:2], [7, 4])[:, [2, 0]].tolist() == [[0, 1], [1, 0]]
    assert [choice.of_image(k).parameters["class"] for k in range(3)] == ["bag", "boot", "bag"]


def test_no_choice_leaves_the_conditions_of_seeds_as_they_are() -> None:
    own = SHOES.from_seeds(range(5))
    assert NO_CHOICE(own) is own
    assert NO_CHOICE.of_image(3) is NO_CHOICE
    assert NO_CHOICE.parameters == {}


def test_attributes_that_are_not_named_follow_the_seed() -> None:
    amounts = choices.parse_attributes(["Blond", "-glasses"])
    assert amounts == {"blond": 1, "glasses": 0}
    choice = ChosenAttributes(PEOPLE, amounts)
    own = np.float32([[1, 0, 1], [1, 1, 0], [0, 0, 0]])
    assert choice(own).tolist() == [[0, 1, 0]] * 3
    assert choice.parameters == {"attributes": "-glasses,blond"}
    assert choice.of_image(7) is choice
    half = ChosenAttributes(PEOPLE, choices.parse_attributes(["glasses:0.5"]))
    assert half(own).tolist() == [[0.5, 0, 1], [0.5, 1, 0], [0.5, 0, 0]]
    assert half.parameters == {"attributes": "glasses:0.5"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("glasses", True),
        ("-Glasses", True),
        ("glasses:0", True),
        ("glasses:0.25", True),
        ("glasses:1.0", True),
        ("glasses:1.5", False),
        ("glasses:2", False),
        ("-glasses:1", False),
        ("glasses:-1", False),
        ("--glasses", False),
        ("9", False),
        ("", False),
    ],
)
def test_the_text_of_an_attribute(text: str, matches: bool) -> None:
    assert bool(re.fullmatch(choices.ATTRIBUTE_PATTERN, text)) is matches


def test_an_attribute_is_named_once() -> None:
    with pytest.raises(ValueError, match="every attribute is named once"):
        choices.parse_attributes(["glasses", "-GLASSES"])


def test_every_class_has_a_row() -> None:
    own = np.zeros((8, 4), np.float32)
    everything = choices.in_rows(SHOES, NO_CHOICE, 2)
    assert everything(own).argmax(axis=1).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert everything.parameters == {}
    some = choices.in_rows(SHOES, chosen("bag,boot"), 2)
    assert some(own[:4]).argmax(axis=1).tolist() == [2, 2, 0, 0]
    assert some(own[:2], [3, 1]).argmax(axis=1).tolist() == [0, 2]
    assert some.parameters == {"class": "bag,boot"}
    assert [some.of_image(k).parameters["class"] for k in range(4)] == [
        "bag",
        "bag",
        "boot",
        "boot",
    ]


def test_every_attribute_has_a_row() -> None:
    own = np.float32([[0, 0, 0], [1, 0, 1]])
    rows = choices.in_rows(PEOPLE, NO_CHOICE, 2)
    assert rows(np.tile(own, (3, 1))).tolist() == [
        *([1, 0, 0], [1, 0, 1]),
        *([0, 1, 0], [1, 1, 0]),
        *([0, 0, 1], [1, 0, 1]),
    ]
    requested = ChosenAttributes(PEOPLE, {"blond": 1, "glasses": 0})
    texts = [
        choices.in_rows(PEOPLE, requested, 1).of_image(k).parameters["attributes"] for k in range(3)
    ]
    assert texts == ["glasses,blond", "-glasses,blond", "-glasses,brown"]
