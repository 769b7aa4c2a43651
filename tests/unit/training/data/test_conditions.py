import numpy as np
import pytest

from training.config import Config
from training.data import conditions
from training.data.images import ImageSet
from training.data.labels import ImageLabels
from training.errors import DataError

PIXELS = np.arange(6, dtype=np.uint8)[:, None, None, None]
CLOTHES = ImageLabels(("bag", "coat", "dress"), True, np.array([0, 1, 2, 2, 1, 2], np.uint8))
EMPTY = ImageLabels(("bag", "coat", "dress", "hat"), True, CLOTHES.values)
FACES = ImageLabels(
    ("beard", "hat"), False, np.array([[0, 0], [1, 0], [0, 1], [0, 0], [1, 1], [0, 0]], np.uint8)
)


def images(labels: ImageLabels | None) -> ImageSet:
    return ImageSet("shop", "CC0", PIXELS, labels)


@pytest.mark.parametrize("labels", [CLOTHES, FACES, None])
def test_auto_takes_the_labels_there_are(labels: ImageLabels | None) -> None:
    assert conditions.selected(images(labels), Config()).labels is labels


@pytest.mark.parametrize("labels", [CLOTHES, FACES, None])
def test_none_ignores_labels(labels: ImageLabels | None) -> None:
    assert conditions.selected(images(labels), Config(conditional="none")).labels is None


def test_a_subset_of_the_classes_keeps_their_images() -> None:
    found = conditions.selected(images(CLOTHES), Config(classes="dress,bag"))
    assert found.pixels.ravel().tolist() == [0, 2, 3, 5]
    assert found.labels is not None
    assert found.labels.names == ("dress", "bag")
    assert found.labels.values.tolist() == [1, 0, 0, 0]
    unconditional = Config(classes="dress", conditional="none")
    assert conditions.selected(images(CLOTHES), unconditional).pixels.ravel().tolist() == [2, 3, 5]


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (CLOTHES, {"conditional": "attributes"}, "attributes: the images of shop have none; they "),
        (FACES, {"conditional": "classes"}, "the images of shop have none; they have attributes"),
        (None, {"conditional": "classes"}, "the images of shop have none; they have no labels"),
        (
            None,
            {"conditional": "classes", "dataset": "folder:shop"},
            "they have no labels; each must be in one of two or more subfolders",
        ),
        (
            None,
            {"classes": "bag", "dataset": "folder:shop"},
            "have none; each must be in one of two or more subfolders",
        ),
        (FACES, {"classes": "beard"}, "--classes beard: the images of shop have none"),
        (None, {"classes": "bag"}, "--classes bag: the images of shop have none"),
        (EMPTY, {"classes": "dress,hat"}, "--classes hat: shop has no image of this class"),
        (
            CLOTHES,
            {"classes": "bag,shoe"},
            "--classes bag,shoe: shoe: no such class; there are bag, coat, dress",
        ),
        (
            CLOTHES,
            {"classes": "bag,bag"},
            "--classes bag,bag: bag: class named more than once",
        ),
    ],
)
def test_labels_that_do_not_exist_are_named(
    labels: ImageLabels | None, options: dict[str, str], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        conditions.selected(images(labels), Config.model_validate(options))


def test_conditions_are_one_hot_for_classes_and_0_or_1_for_attributes() -> None:
    found = conditions.conditions(CLOTHES)
    assert found.dtype == np.float32
    assert found.argmax(axis=1).tolist() == CLOTHES.values.tolist()
    assert found.sum(axis=1).tolist() == [1] * 6
    assert conditions.conditions(FACES).tolist() == FACES.values.tolist()


def test_the_card_has_the_shares_of_the_classes() -> None:
    found = conditions.classes(CLOTHES)
    assert found is not None
    assert [(one.name, one.share) for one in found] == [
        ("bag", 0.166667),
        ("coat", 0.333333),
        ("dress", 0.5),
    ]
    assert conditions.attributes(CLOTHES) is None
    assert conditions.classes(FACES) is None
    assert conditions.classes(None) is None


def test_the_card_has_the_attributes_of_training_images() -> None:
    found = conditions.attributes(FACES)
    assert found is not None
    assert [(one.name, one.share) for one in found.attributes] == [
        ("beard", 0.333333),
        ("hat", 0.333333),
    ]
    assert sorted(found.patterns) == ["0", "0", "0", "1", "2", "3"]


def test_attributes_exclude_those_with_which_they_never_occur() -> None:
    # 40 images each: bald or long hair, never both, with or without a hat.
    table = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1]] * 40, np.uint8)
    found = conditions.attributes(ImageLabels(("bald", "long_hair", "hat"), False, table))
    assert found is not None
    assert [one.excludes for one in found.attributes] == [["long_hair"], ["bald"], []]


def test_an_absence_that_can_be_chance_excludes_nothing() -> None:
    table = np.array([[1, 0], [0, 1]] * 4, np.uint8)
    found = conditions.attributes(ImageLabels(("bald", "hat"), False, table))
    assert found is not None
    assert [one.excludes for one in found.attributes] == [[], []]


def test_a_card_keeps_1024_patterns_as_frequent_as_in_the_training_images() -> None:
    random = np.random.default_rng(1)
    table = (random.random((20_000, 3)) < [0.1, 0.5, 0.8]).astype(np.uint8)
    found = conditions.attributes(ImageLabels(("a", "b", "c"), False, table))
    assert found is not None
    assert len(found.patterns) == 1024
    bits = np.array([[int(p, 16) >> k & 1 for k in range(3)] for p in found.patterns])
    np.testing.assert_allclose(bits.mean(axis=0), [0.1, 0.5, 0.8], atol=0.05)
