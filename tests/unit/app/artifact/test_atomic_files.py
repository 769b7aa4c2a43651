from collections.abc import Callable
from pathlib import Path

import pytest

from app.artifact import atomic_files

Write = Callable[[Path, bytes], None]


@pytest.mark.parametrize("write", [atomic_files.write, atomic_files.write_unsynced])
def test_the_content_is_replaced_and_nothing_else_remains(write: Write, tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        write(tmp_path / "file", content)
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("write", [atomic_files.write, atomic_files.write_unsynced])
def test_a_failed_write_leaves_the_old_content(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:3])
        raise OSError("the disk is full")

    write(tmp_path / "file", b"first")
    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(OSError, match="full"):
        write(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"


def test_missing_folders_are_created(tmp_path: Path) -> None:
    atomic_files.write(tmp_path / "new/folder/file", b"content")
    assert (tmp_path / "new/folder/file").read_bytes() == b"content"
