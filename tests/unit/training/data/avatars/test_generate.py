import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("python_avatars", reason="the extra 'avatars' is not installed")
pytest.importorskip("resvg_py", reason="the extra 'avatars' is not installed")

from training.__main__ import main
from training.data.avatars import dataset, rendering
from training.data.avatars.dataset import FILE, SHEET
from training.data.avatars.faces import ATTRIBUTES, attributes_of, sample_face

COUNT, SEED = 40, 3


def draw(out: Path, *flags: object) -> int:
    usual = ["--count", str(COUNT), "--seed", str(SEED), "--processes", "1"]
    return main(["avatars", "--out", str(out), *usual, *map(str, flags)])


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty faces, two blocks, drawn by one process. Read-only."""
    out = tmp_path_factory.mktemp("drawn") / "data" / "faces"
    assert draw(out) == 0
    return out


# The generated data set.


def test_a_folder_holds_the_faces_and_a_sheet(faces: Path) -> None:
    assert {path.name for path in faces.iterdir()} == {FILE, SHEET}
    assert [path.name for path in faces.parent.iterdir()] == [faces.name]
    found = dataset.read(faces)
    assert found.images.shape == (COUNT, 3, 64, 64)
    assert list(found.attributes) == list(ATTRIBUTES)
    for number in (0, 31, 32, COUNT - 1):
        face = sample_face(SEED, number)
        np.testing.assert_array_equal(found.images[number], rendering.render(face))
        attributes = [bool(column[number]) for column in found.attributes.values()]
        assert attributes == attributes_of(face)


def test_the_sheet_shows_the_first_faces_four_times_as_large(faces: Path) -> None:
    with Image.open(io.BytesIO((faces / SHEET).read_bytes())) as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (6 * 256, 7 * 256, 3)  # 40 in rows of 7
    first = pixels[:256, 256:512]
    np.testing.assert_array_equal(first[::4, ::4].transpose(2, 0, 1), second(faces))
    np.testing.assert_array_equal(first[::4], first[3::4])


def second(faces: Path) -> np.ndarray:
    return dataset.read(faces).images[1]


def test_fewer_faces_are_the_first_of_more(faces: Path, tmp_path: Path) -> None:
    assert draw(tmp_path / "faces", "--count", 5) == 0
    few, many = dataset.read(tmp_path / "faces"), dataset.read(faces)
    np.testing.assert_array_equal(few.images, many.images[:5])
    for name, column in few.attributes.items():
        np.testing.assert_array_equal(column, many.attributes[name][:5])


def test_another_seed_draws_other_faces(faces: Path, tmp_path: Path) -> None:
    assert draw(tmp_path / "faces", "--count", 3, "--seed", 4) == 0
    assert np.any(dataset.read(tmp_path / "faces").images != dataset.read(faces).images[:3])


def test_progress_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw(tmp_path / "faces", "--count", 2) == 0
    output = capsys.readouterr()
    assert "2/2" in output.err
    assert output.out == f"generated {tmp_path / 'faces'}\n"


# Errors.


@pytest.mark.parametrize("kind", ["faces", "an empty folder", "a file"])
def test_an_existing_path_is_not_overwritten(
    kind: str, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = faces if kind == "faces" else tmp_path / "here"
    if kind == "an empty folder":
        place.mkdir()
    elif kind == "a file":
        place.write_text("mine")
    before = sorted((path, path.stat().st_mtime_ns) for path in (place, *place.rglob("*")))
    assert draw(place, "--count", 1) == 1
    assert capsys.readouterr().err == (
        f"error: --out {place}: already exists; generated faces are never overwritten\n"
    )
    assert before == sorted((path, path.stat().st_mtime_ns) for path in (place, *place.rglob("*")))


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--count", "0"),
        ("--count", "1000001"),
        ("--count", "many"),
        ("--seed", "-1"),
        ("--seed", "4294967296"),
        ("--processes", "-1"),
    ],
)
def test_an_invalid_value_is_reported_with_its_flag_and_nothing_is_written(
    flag: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["avatars", "--out", str(tmp_path / "faces"), f"{flag}={value}"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {flag} {value}: ")
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert draw(tmp_path / "file" / "faces", "--count", 1) == 1
    output = capsys.readouterr().err
    assert output.startswith("error: ")
    assert str(tmp_path / "file") in output
    assert output.count("\n") == 1


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, OSError("the disk is full")])
def test_an_unfinished_command_leaves_nothing(
    trouble: BaseException | type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def troubled(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(dataset, "write", troubled)
    assert draw(tmp_path / "faces", "--count", 2) in {1, 130}
    assert list(tmp_path.iterdir()) == []


def test_other_commands_import_none_of_the_drawing_libraries(root: Path) -> None:
    program = (
        "import sys, training.__main__, training.data.datasets; "
        "training.__main__.parser(); "
        "print(*{'python_avatars', 'resvg_py', 'torch'} & sys.modules.keys())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True
    )
    assert ended.stdout.split() == []
