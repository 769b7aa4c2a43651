import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from training.errors import RunError
from training.loop import checkpoint


class Unsafe:
    """A class of our own, which a checkpoint may not contain: loading it would run code."""


def test_a_state_is_restored_bit_for_bit(tmp_path: Path) -> None:
    state = {"step": 3, "weights": torch.randn(4, 5), "more": {"none": None, "pair": (0.1, 0.2)}}
    checkpoint.save(state, tmp_path / "new" / "last.pt")
    loaded = checkpoint.load(tmp_path / "new" / "last.pt")
    torch.testing.assert_close(loaded, state, rtol=0, atol=0)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["last.pt"]


def fail_in_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    def save(_: object, file: BinaryIO) -> None:
        file.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", save)


def fail_in_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_: int) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("fail", [fail_in_writing, fail_in_syncing])
def test_a_failed_save_leaves_the_old_checkpoint(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[pytest.MonkeyPatch], None],
) -> None:
    path = tmp_path / "last.pt"
    checkpoint.save({"step": 1}, path)
    with monkeypatch.context() as patch:
        fail(patch)
        with pytest.raises((OSError, RunError), match=r"space|input"):
            checkpoint.save({"step": 2}, path)
    assert checkpoint.load(path) == {"step": 1}
    checkpoint.save({"step": 3}, path)  # leftovers of the failure do no harm
    assert checkpoint.load(path) == {"step": 3}


def test_a_missing_checkpoint_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no checkpoint") as caught:
        checkpoint.load(tmp_path / "last.pt")
    assert str(tmp_path / "last.pt") in str(caught.value)


def whole(path: Path) -> bytes:
    checkpoint.save({"weights": torch.randn(64, 64)}, path)
    return path.read_bytes()


def unsafe(path: Path) -> bytes:
    torch.save(Unsafe(), path)
    return path.read_bytes()


def listed(path: Path) -> bytes:
    torch.save([1, 2], path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        lambda _: b"",
        lambda _: b"no checkpoint at all",
        lambda path: whole(path)[:-1],
        lambda path: whole(path)[:5000],
        unsafe,
        listed,
    ],
    ids=["empty", "text", "last byte missing", "cut off", "code inside", "list"],
)
def test_a_damaged_checkpoint_is_an_error_with_its_path(
    tmp_path: Path, content: Callable[[Path], bytes]
) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content(path))
    with pytest.raises(RunError, match="not a readable checkpoint") as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
