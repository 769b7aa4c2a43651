"""The record of a model's default version."""

import os
from pathlib import Path

import pytest

from app.artifact import default_version
from app.artifact.card import CardError


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert default_version.read(tmp_path) is None
    assert default_version.read(tmp_path / "missing") is None
    default_version.write(tmp_path / "cats", 12)
    assert default_version.read(tmp_path / "cats") == 12
    assert [path.name for path in (tmp_path / "cats").iterdir()] == [default_version.FILE]


def test_a_record_may_be_written_by_hand(tmp_path: Path) -> None:
    for content in ("2", "2\n", "2\r\n"):
        (tmp_path / default_version.FILE).write_text(content)
        assert default_version.read(tmp_path) == 2


def test_a_record_that_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / default_version.FILE)
    with pytest.raises(CardError, match="must be a file that contains the number"):
        default_version.read(tmp_path)


def test_a_record_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / default_version.FILE
    path.symlink_to(path)
    with pytest.raises(CardError, match=r"default: cannot be read: Too many levels"):
        default_version.read(tmp_path)


@pytest.mark.parametrize(
    ("versions", "recorded", "chosen"),
    [({1, 2, 3}, None, 3), ({1, 2, 3}, 2, 2), ({1, 3}, 2, 1), ({3, 4}, 2, 3), ({1, 3}, 9, 3)],
)
def test_the_default_is_the_recorded_version_or_the_next(
    versions: set[int], recorded: int | None, chosen: int
) -> None:
    assert default_version.choose(versions, recorded) == chosen
