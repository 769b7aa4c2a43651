"""The version folders on the disk."""

import os
import shutil
from pathlib import Path

import pytest

from app.artifact import version_folders
from app.artifact.card import CardError
from app.artifact.version_key import VersionKey
from tests.versions import publish

CATS_2, CATS_10 = VersionKey("cats", "2"), VersionKey("cats", "10")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish(tmp_path / "models", "cats", 2)
    publish(tmp_path / "models", "cats", 10)
    return tmp_path / "models"


def test_the_fingerprint_of_a_version_folder_changes_with_its_files(models: Path) -> None:
    (models / "cats/.part-3").mkdir()
    (models / "notes").touch()
    before = version_folders.scan(models).fingerprints
    assert list(before) == [CATS_10, CATS_2]
    assert version_folders.scan(models).fingerprints == before
    content = (models / "cats/2/card.json").read_bytes()
    times = (models / "cats/2/card.json").stat()
    (models / "cats/2/card.json").write_bytes(content[::-1])
    os.utime(models / "cats/2/card.json", ns=(times.st_atime_ns, times.st_mtime_ns))
    after = version_folders.scan(models).fingerprints
    assert after[CATS_10] == before[CATS_10]
    assert after[CATS_2] != before[CATS_2]
    (models / "cats/10/samples.png").touch()
    assert version_folders.scan(models).fingerprints[CATS_10] != before[CATS_10]


def test_a_folder_that_disappears_meanwhile_has_an_empty_fingerprint(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def disappearing(path: Path) -> object:
        if Path(path).name == "2":
            raise FileNotFoundError
        return scan(path)

    monkeypatch.setattr(os, "scandir", disappearing)
    assert version_folders.scan(models).fingerprints[CATS_2] == ()


def test_an_entry_that_cannot_be_read_hides_no_other(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, is_dir = Path.iterdir, Path.is_dir

    def readable(path: Path) -> Path:
        if path.name in {"lost+found", "3"}:
            raise PermissionError(13, "Permission denied")
        return path

    monkeypatch.setattr(Path, "iterdir", lambda path: entries(readable(path)))
    (models / "lost+found").mkdir()
    found = version_folders.scan(models)
    assert list(found.fingerprints) == [CATS_10, CATS_2]
    lost = VersionKey("lost+found", "")
    assert found.refused == {lost: "lost+found: cannot be read: Permission denied"}
    (models / "cats/3").mkdir()
    monkeypatch.setattr(Path, "is_dir", lambda path: is_dir(readable(path)))
    found = version_folders.scan(models)
    cats_3 = VersionKey("cats", "3")
    assert found.refused[cats_3] == "cats/3: cannot be read: Permission denied"
    assert list(found.fingerprints) == [CATS_10, CATS_2]
    assert found.hides(cats_3)
    assert found.hides(VersionKey("lost+found", "1"))
    assert not found.hides(CATS_2)


def test_a_folder_whose_name_is_not_printable_is_refused_with_its_name_escaped(
    models: Path,
) -> None:
    (models / "caf\udce9/1").mkdir(parents=True)  # how Python represents the byte E9
    (models / "cats/1\n2").mkdir()
    found = version_folders.scan(models)
    reason = "its name has characters that are not printable"
    assert found.refused == {
        VersionKey(r"caf\xe9", ""): rf"caf\xe9: {reason}",
        VersionKey("cats", r"1\n2"): rf"cats/1\n2: {reason}",
    }
    assert list(found.fingerprints) == [CATS_10, CATS_2]


def test_no_link_may_lead_out_of_the_models_folder(models: Path, tmp_path: Path) -> None:
    folder = models / "cats/2"
    version_folders.check_inside(folder, models)
    (folder / "also.json").symlink_to(models / "cats/10/card.json")
    version_folders.check_inside(folder, models)
    (tmp_path / "secret").touch()
    (folder / "secret").symlink_to("../../../secret")
    with pytest.raises(
        CardError, match=r"cats/2/secret: resolves to .*/secret, outside the models"
    ):
        version_folders.check_inside(folder, models)


def test_the_models_folder_itself_may_be_a_link(models: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(models)
    version_folders.check_inside(tmp_path / "link/cats/2", tmp_path / "link")


def test_a_link_that_cannot_be_resolved_is_rejected(models: Path) -> None:
    (models / "cats/2/loop").symlink_to("loop")
    with pytest.raises(CardError, match="cats/2: cannot be read: "):
        version_folders.check_inside(models / "cats/2", models)
    shutil.rmtree(models / "cats/10")
    with pytest.raises(CardError, match="cats/10: cannot be read: "):
        version_folders.check_inside(models / "cats/10", models)


def test_a_model_folder_that_is_removed_meanwhile_is_absent(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = Path.iterdir

    def remaining(path: Path) -> object:
        if path.name == "dogs":
            raise FileNotFoundError(2, "No such file or directory")
        return entries(path)

    publish(models, "dogs", 1)
    monkeypatch.setattr(Path, "iterdir", remaining)
    found = version_folders.scan(models)
    assert list(found.fingerprints) == [CATS_10, CATS_2]
    assert found.refused == {}
