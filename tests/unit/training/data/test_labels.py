import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from app.artifact.card import AttributeName, ClassName
from training.data import folder, idx
from training.data.avatars.faces import ATTRIBUTES
from training.data.folder import FolderOptions
from training.data.images import ImageSet
from training.data.labels import ImageLabels, class_names, slug
from training.errors import DataError
from training.image_size import ImageSize

CLOTHES = ImageLabels(
    ("shirt", "sneaker", "bag"), exclusive=True, values=np.array([2, 0, 1, 1, 2, 0], np.uint8)
)
FACES = ImageLabels(
    ("glasses", "beard", "hat"),
    exclusive=False,
    values=np.array([[0, 1, 0], [1, 1, 1], [0, 0, 1]], np.uint8),
)


# Some of the classes or attributes.


def test_a_subset_of_classes_has_their_images_and_numbers_in_the_requested_order() -> None:
    rows, labels = CLOTHES.subset(["bag", "shirt"])
    assert rows.tolist() == [0, 1, 4, 5]
    assert (labels.names, labels.exclusive) == (("bag", "shirt"), True)
    assert labels.values.dtype == np.uint8
    assert labels.values.tolist() == [0, 1, 0, 1]


def test_a_subset_of_attributes_has_all_images() -> None:
    rows, labels = FACES.subset(["hat", "glasses"])
    assert rows.tolist() == [0, 1, 2]
    assert (labels.names, labels.exclusive) == (("hat", "glasses"), False)
    assert labels.values.tolist() == [[0, 0], [1, 1], [1, 0]]


def test_the_images_of_a_set_follow_its_labels() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    chosen = ImageSet("clothes", "none", pixels, CLOTHES).subset(["sneaker"])
    assert chosen.pixels[:, 0, 0, 0].tolist() == [2, 3]
    assert chosen.labels is not None
    assert chosen.labels.values.tolist() == [0, 0]
    faces = ImageSet("faces", "none", pixels[:3], FACES).subset(["hat"])
    assert len(faces.pixels) == 3


@pytest.mark.parametrize(
    ("labels", "names", "complaint"),
    [
        (
            CLOTHES,
            ["bag", "sock", "shoe"],
            "sock, shoe: no such class; there are shirt, sneaker, bag",
        ),
        (FACES, ["halo"], "halo: no such attribute; there are glasses, beard, hat"),
        (CLOTHES, [], "no class is named; there are shirt, sneaker, bag"),
        (FACES, ["hat", "hat"], "hat: attribute named more than once"),
    ],
)
def test_names_that_are_unknown_missing_or_repeated_are_refused(
    labels: ImageLabels, names: list[str], complaint: str
) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(complaint)}$"):
        labels.subset(names)


def test_images_without_labels_have_no_subset() -> None:
    images = ImageSet("folder:pets", "none", np.zeros((2, 1, 4, 4), np.uint8))
    with pytest.raises(DataError, match="folder:pets: its images have neither classes nor"):
        images.subset(["cat"])


# Names.


def test_the_names_of_every_data_set_are_valid_on_a_card() -> None:
    for published in (idx.FASHION_MNIST, idx.MNIST):
        assert len(set(published.classes)) == 10
        for name in published.classes:
            TypeAdapter(ClassName).validate_python(name)
    for name in ATTRIBUTES:
        TypeAdapter(AttributeName).validate_python(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Cats", "cats"),
        ("T-shirt/top", "t-shirt-top"),
        ("ankle boot", "ankle-boot"),
        ("long_hair", "long_hair"),
        ("Crème brûlée!", "creme-brulee"),
        ("_private-", "private"),
        ("7", "7"),
        ("n01440764 tench", "n01440764-tench"),
        ("x" * 90, "x" * 64),
        ("x" * 63 + " y", "x" * 63),
        ("猫", ""),
    ],
)
def test_a_folders_name_becomes_a_valid_name_of_a_class(text: str, name: str) -> None:
    assert slug(text) == name
    if name:
        TypeAdapter(ClassName).validate_python(name)


@pytest.mark.parametrize(
    ("folders", "complaint"),
    [
        (["Cats", "dogs", "cats"], "'Cats' and 'cats': both would be the class cats"),
        (["猫", "dogs"], "'猫': the name of a class needs a letter from a to z or a digit"),
        ([str(k) for k in range(257)], "has 257 subfolders, but at most 256 classes"),
    ],
)
def test_subfolders_without_valid_names_are_refused(folders: list[str], complaint: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(complaint)}"):
        class_names(folders)


# Image folders.


def load(place: Path, paths: list[str]) -> ImageSet:
    for k, name in enumerate(paths):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            Image.new("RGB", (20, 20), (k, 0, 0)).save(path)
        else:
            path.write_text("no image")
    return folder.load(
        place, FolderOptions(ImageSize.square(16), 2), lambda *_: None, lambda *_: None
    )


def test_the_subfolders_of_a_folder_are_the_classes_of_its_images(tmp_path: Path) -> None:
    paths = [f"{name}/{k}.png" for name in ("Dogs", "red cats/b/c", "red cats") for k in range(6)]
    found = load(tmp_path, [*paths, "notes.txt", "text/notes.txt"])
    assert found.labels is not None
    assert (found.labels.names, found.labels.exclusive) == (("dogs", "red-cats"), True)
    expected = ["Dogs" not in paths[k] for k in found.pixels[:, 0, 0, 0]]
    assert found.labels.values.dtype == np.uint8
    assert found.labels.values.tolist() == expected


@pytest.mark.parametrize(
    "extra", [[], ["Cats/a.png", "top.png"]], ids=["one subfolder", "an image in none"]
)
def test_other_folders_have_no_classes(tmp_path: Path, extra: list[str]) -> None:
    assert load(tmp_path, [*(f"Dogs/{k}.png" for k in range(16)), *extra]).labels is None


def test_subfolders_that_would_be_one_class_are_both_named(tmp_path: Path) -> None:
    paths = [f"{name}/{k}.png" for name in ("Dogs", "dogs ") for k in range(8)]
    with pytest.raises(DataError) as caught:
        load(tmp_path, paths)
    assert str(caught.value).startswith(f"{tmp_path}: 'Dogs' and 'dogs ': ")
