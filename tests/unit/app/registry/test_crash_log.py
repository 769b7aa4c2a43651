"""Versions that crash their processes are left out; others, and processes that exit, are not."""

import faulthandler
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.artifact.version_key import VersionKey
from app.registry.crash_log import CrashLog, Mark

CATS = VersionKey("cats", "1")

_PROGRAM = """
import os, sys, time
from pathlib import Path
from app.artifact.version_key import VersionKey
from app.registry.crash_log import CrashLog

log = CrashLog(Path(sys.argv[1]))
idle = log.mark(VersionKey("dogs", "1"), "hash-of-dogs")
mark = log.mark(VersionKey("cats", "1"), "hash-of-cats")

def compute(rows):
    {end}

mark.marking(compute)({{}})
{after}
"""

CRASH = f"os.kill(os.getpid(), {int(signal.SIGSEGV)})"
HANG = "log.note_hang(); os._exit(70)"


def run(folder: Path, root: Path, end: str, after: str = "") -> int:
    """Run a process that computes a batch of cats/1 and ends during it or after it."""
    program = _PROGRAM.format(end=end, after=after)
    command = [sys.executable, "-c", program, str(folder)]
    ended = subprocess.run(command, cwd=root, check=False, stderr=subprocess.DEVNULL)
    return ended.returncode


@pytest.mark.parametrize(
    ("end", "cause"),
    [(CRASH, "Fatal Python error: Segmentation fault"), (HANG, "a batch that did not end")],
)
def test_a_version_that_ended_two_processes_is_left_out_until_it_is_cleared(
    tmp_path: Path, root: Path, end: str, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(tmp_path, root, end) != 0
    first = CrashLog(tmp_path)
    assert first.reason("hash-of-cats") is None
    assert f"cats/1 ended a process by: {cause}" in caplog.text
    assert run(tmp_path, root, end) != 0
    second = CrashLog(tmp_path)
    reason = second.reason("hash-of-cats")
    assert reason is not None
    assert "2 times" in reason
    assert cause in reason
    assert second.reason("hash-of-dogs") is None
    assert first.reason("hash-of-cats") == reason  # it shares the folder
    first.clear("cat")
    assert first.reason("hash-of-cats") == reason
    first.clear("cats")
    assert second.reason("hash-of-cats") is None
    first.close()
    second.close()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [""]


@pytest.mark.parametrize(
    ("end", "after"),
    [
        (f"os.kill(os.getpid(), {int(signal.SIGKILL)})", ""),
        ("os._exit(143)", ""),
        ("pass", CRASH),
        ("pass", "log.close()"),
    ],
    ids=["killed by somebody", "second SIGTERM", "crash outside of a batch", "regular exit"],
)
def test_other_ends_blame_no_version(tmp_path: Path, root: Path, end: str, after: str) -> None:
    for _ in range(2):  # as many as are enough to blame one
        run(tmp_path, root, end, after)
    log = CrashLog(tmp_path)
    assert log.reason("hash-of-cats") is None
    log.close()
    assert not list(tmp_path.glob("*.ends"))


def test_ends_that_are_far_apart_do_not_add_up(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, root, CRASH)
    CrashLog(tmp_path).close()
    monkeypatch.setattr("app.registry.crash_log._WITHIN_SECONDS", 0)
    run(tmp_path, root, CRASH)
    log = CrashLog(tmp_path)
    assert log.reason("hash-of-cats") is None
    log.close()


def test_without_a_folder_that_can_be_written_nothing_is_remembered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    for folder in (None, tmp_path / "file"):
        log = CrashLog(folder)
        assert log.mark(CATS, "hash") == Mark()
        assert log.reason("hash") is None
        log.note_hang()
        log.clear("cats")
        log.close()
    assert "cannot remember crashes there" in caplog.text


def test_marks_are_used_again(tmp_path: Path) -> None:
    log = CrashLog(tmp_path)
    for _ in range(1000):
        mark = log.mark(CATS, "hash")
        assert mark.file is not None
        log.release(mark)
    held = [log.mark(CATS, "hash") for _ in range(300)]
    assert held[-1] == Mark()  # there are 256
    pixels = np.zeros((1, 2, 2, 1), np.uint8)
    assert held[-1].marking(lambda _: pixels)({}) is pixels
    log.close()


def test_the_fault_handler_of_before_is_restored(tmp_path: Path) -> None:
    before = faulthandler.is_enabled()
    CrashLog(tmp_path).close()
    assert faulthandler.is_enabled() == before
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
