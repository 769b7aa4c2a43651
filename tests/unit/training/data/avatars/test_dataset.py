import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.artifact import card
from training.__main__ import main
from training.config import Config
from training.data import datasets
from training.data.avatars import dataset
from training.data.avatars.dataset import FILE, FORMAT, LICENCE, Avatars
from training.data.images import fit_centre, resize
from training.errors import DataError
from training.image_size import ImageSize
from training.run.journal import Run

COUNT, LEARNED = 12, 10
TINY = "--generator-filters 1 --discriminator-filters 1 --latent-dim 2 --batch-size 4 --epochs 1"


def ignore(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def faces() -> Avatars:
    """Noise instead of faces: reading and writing make no difference between them."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (COUNT, 3, 64, 64), dtype=np.uint8)
    table = random.random((COUNT, 2)) < 0.5
    return Avatars(images, {"glasses": table[:, 0], "smile": table[:, 1]}, LICENCE)


@pytest.fixture
def place(tmp_path: Path, faces: Avatars) -> Path:
    """A folder with these faces."""
    folder = tmp_path / "faces"
    folder.mkdir()
    dataset.write(folder / FILE, faces, 0, {"pencil": "1"})
    return folder


def fit(out: Path, *flags: object) -> int:
    where = ["--out", str(out), "--device", "cpu", "--threads", "1", "--dataset", "avatars"]
    return main(["fit", *where, *TINY.split(), *map(str, flags)])


# Reading.


def test_faces_are_read_as_they_were_written(place: Path, faces: Avatars) -> None:
    found = dataset.read(place)
    np.testing.assert_array_equal(found.images, faces.images)
    assert list(found.attributes) == ["glasses", "smile"]
    for name, column in faces.attributes.items():
        assert found.attributes[name].dtype == bool
        np.testing.assert_array_equal(found.attributes[name], column)
    assert found.licence == LICENCE


def test_the_same_faces_are_the_same_bytes(place: Path, faces: Avatars, tmp_path: Path) -> None:
    dataset.write(tmp_path / FILE, faces, 0, {"pencil": "1"})
    assert (tmp_path / FILE).read_bytes() == (place / FILE).read_bytes()


def test_the_file_names_its_libraries_seed_and_format(place: Path) -> None:
    with np.load(place / FILE) as members:
        assert str(members["libraries"]) == "pencil 1"
        assert (int(members["seed"]), int(members["form"])) == (0, FORMAT)


def test_the_licence_names_the_artist_and_both_programs() -> None:
    for part in ("Pablo Stanley", "free for personal and commercial use", "python-avatars (MIT"):
        assert part in LICENCE
    assert "resvg-py (MIT" in LICENCE


def test_the_default_folder_is_data_avatars(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"^data/avatars/avatars\.npz: no such file"):
        datasets.load(Config(dataset="avatars"), ignore, ignore)
    named = datasets.load(Config(dataset="avatars", data_dir=place), ignore, ignore)
    shutil.copytree(place, tmp_path / "data" / "avatars")
    usual = datasets.load(Config(dataset="avatars"), ignore, ignore)
    np.testing.assert_array_equal(named.pixels, usual.pixels)
    assert (usual.name, usual.licence) == ("avatars", LICENCE)


# Training and test faces.


@pytest.mark.parametrize(("count", "learned"), [(1, 1), (4, 4), (5, 4), (9, 8), (10, 8), (12, 10)])
def test_the_last_fifth_of_the_faces_are_test_faces(
    faces: Avatars, count: int, learned: int
) -> None:
    columns = {name: column[:count] for name, column in faces.attributes.items()}
    some = Avatars(faces.images[:count], columns, faces.licence)
    training, test = some.training, some.test
    assert (len(training.images), len(test.images)) == (learned, count - learned)
    np.testing.assert_array_equal(np.concatenate([training.images, test.images]), some.images)
    for name, column in columns.items():
        parts = [part.attributes[name] for part in (training, test)]
        np.testing.assert_array_equal(np.concatenate(parts), column)
    assert training.licence == test.licence == faces.licence


def test_only_the_training_faces_are_loaded_for_training(place: Path, faces: Avatars) -> None:
    found = datasets.load(Config(dataset="avatars", data_dir=place), ignore, ignore)
    np.testing.assert_array_equal(found.pixels, faces.images[:LEARNED])


@pytest.mark.parametrize("size", [None, 16])
def test_the_test_faces_have_the_requested_size(
    place: Path, faces: Avatars, size: int | None
) -> None:
    config = Config(dataset="avatars", data_dir=place, image_size=size)
    found = datasets.load_test(config, ignore)
    expected = (
        faces.test.images if size is None else resize(faces.test.images, ImageSize.square(size))
    )
    assert found is not None
    np.testing.assert_array_equal(found, expected)


def test_a_handful_of_faces_and_a_folder_have_no_test_images(
    tmp_path: Path, faces: Avatars
) -> None:
    columns = {name: column[:4] for name, column in faces.attributes.items()}
    dataset.write(tmp_path / FILE, Avatars(faces.images[:4], columns, "none"), 0, {})
    assert datasets.load_test(Config(dataset="avatars", data_dir=tmp_path), ignore) is None
    assert datasets.load_test(Config(dataset=f"folder:{tmp_path}"), ignore) is None


# Errors.


def refused(place: Path) -> str:
    with pytest.raises(DataError) as caught:
        dataset.read(place)
    output = str(caught.value)
    assert str(place / FILE) in output
    assert "\n" not in output
    return output


def test_missing_faces_are_reported_with_the_command_that_makes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = refused(tmp_path)
    assert f"python -m training avatars --out {tmp_path}" in output
    assert "--data-dir" in output
    assert fit(tmp_path / "run", "--data-dir", tmp_path) == 1
    assert capsys.readouterr().err == f"error: {output}\n"
    assert not (tmp_path / "run").exists()


def test_a_file_cut_off_anywhere_is_refused_by_name(place: Path) -> None:
    whole = (place / FILE).read_bytes()
    for length in [*range(0, len(whole), 997), len(whole) - 1]:
        (place / FILE).write_bytes(whole[:length])
        assert "cannot be read" in refused(place), length


def test_no_flipped_bit_changes_a_face_unnoticed(place: Path, faces: Avatars) -> None:
    whole = (place / FILE).read_bytes()
    random, noticed = np.random.default_rng(0), 0
    # Bits of the archive's directory, and a sample of all others.
    bits = [
        *range(8 * len(whole) - 3000, 8 * len(whole), 7),
        *random.integers(8 * len(whole), size=99),
    ]
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (place / FILE).write_bytes(damaged)
        try:
            found = dataset.read(place)
        except DataError:
            noticed += 1
        else:
            np.testing.assert_array_equal(found.images, faces.images, err_msg=f"bit {bit}")
    assert noticed > len(bits) / 4


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "cannot be read: "),
        (b"words", "cannot be read: "),
        (b"\x80\x04N.", "cannot be read: "),
        (b"PK\x05\x06" + bytes(18), "file format None"),
    ],
)
def test_other_files_are_refused(place: Path, content: bytes, complaint: str) -> None:
    (place / FILE).write_bytes(content)
    assert complaint in refused(place)


def rewritten(place: Path, **members: Any) -> None:
    """Rewrite the file with some of its arrays replaced, or left out if they are None."""
    with np.load(place / FILE) as found:
        arrays = {**{name: found[name] for name in found.files}, **members}
    np.savez_compressed(
        place / FILE, **{name: values for name, values in arrays.items() if values is not None}
    )


@pytest.mark.parametrize("form", [FORMAT + 1, 0, None])
def test_faces_of_another_version_are_refused_as_such(place: Path, form: int | None) -> None:
    rewritten(place, form=form, images=None)
    output = refused(place)
    assert f"made by another version of this program (file format {form}, " in output
    assert f"but this version reads {FORMAT}); generate the faces again" in output


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"images": np.zeros((12, 64, 64, 3), np.uint8)}, "(12, 64, 64, 3)"),
        ({"images": np.zeros((12, 3, 64, 64), np.float32)}, "float32"),
        ({"images": np.zeros((11, 3, 64, 64), np.uint8)}, "(11, 3, 64, 64)"),
        ({"attributes": np.zeros((12, 3), bool)}, "bool (12, 3)"),
        ({"attributes": np.zeros((12, 2), np.uint8)}, "attributes uint8"),
        ({"names": np.array(["a", "b", "c"])}, "3 attribute names"),
        ({"names": np.array([["a"], ["b"]])}, "2 attribute names"),
        ({"images": None}, "cannot be read: 'images'"),
        ({"licence": None}, "cannot be read"),
        ({"names": np.array([{}, {}])}, "cannot be read"),
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_are_refused(
    place: Path, members: dict[str, Any], complaint: str
) -> None:
    rewritten(place, **members)
    assert complaint in refused(place)


# Training.


@pytest.mark.parametrize("size", [None, 16, 64, 128])
def test_faces_have_their_own_or_the_requested_size(
    place: Path, faces: Avatars, size: int | None
) -> None:
    config = Config(dataset="avatars", data_dir=place, image_size=size)
    found = datasets.load(config, ignore, ignore).pixels
    if size is None or size == 64:
        np.testing.assert_array_equal(found, faces.training.images)
        return
    assert found.shape == (LEARNED, 3, size, size)
    for one, image in zip(found, faces.training.images, strict=True):
        expected = np.asarray(
            fit_centre(Image.fromarray(image.transpose(1, 2, 0)), ImageSize.square(size))
        )
        np.testing.assert_array_equal(one.transpose(1, 2, 0), expected)


def test_a_run_on_faces_has_figures_and_is_published_with_their_licence(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert fit(run, "--data-dir", place, "--image-size", 16, "--conditional", "none") == 0
    assert Run(run).data().shape == (3, 16, 16)
    assert main(["figures", str(run), "--device", "cpu"]) == 0
    assert (run / "figures" / "neighbours.png").exists()
    export = ["export", str(run), "--name", "faces", "--version", "1", "--models", str(tmp_path)]
    assert main(export) == 0
    made = card.read(tmp_path / "faces" / "1").dataset
    assert made.model_dump() == {"name": "avatars", "licence": LICENCE, "images": LEARNED}
    assert "Pablo Stanley" in json.loads((run / "data.json").read_text())["licence"]
    assert capsys.readouterr().err.count("error") == 0


def test_faces_have_no_classes_to_probe(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        fit(tmp_path / "run", "--data-dir", place, "--image-size", 16, "--conditional", "none") == 0
    )
    capsys.readouterr()
    assert main(["probe", str(tmp_path / "run"), "--device", "cpu"]) == 1
    output = capsys.readouterr().err
    assert output == "error: --dataset avatars: its images have no classes\n"
