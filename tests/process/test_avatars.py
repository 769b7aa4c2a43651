"""``avatars`` with several processes, and what remains if one of them is stopped."""

import contextlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("python_avatars", reason="the extra 'avatars' is not installed")
pytest.importorskip("resvg_py", reason="the extra 'avatars' is not installed")

from tests.waiting import PATIENCE, eventually
from training.__main__ import main
from training.data.avatars.dataset import FILE, SHEET


def generate(out: Path, *flags: object) -> int:
    return main(["avatars", "--out", str(out), "--count", "40", "--seed", "3", *map(str, flags)])


def test_two_processes_generate_the_same_files_as_one(tmp_path: Path) -> None:
    for processes in (1, 2):
        assert generate(tmp_path / str(processes), "--processes", processes) == 0
    for name in (FILE, SHEET):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_by_default_there_is_one_process_per_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    real = multiprocessing.get_context("spawn")

    class Context:
        Pipe = real.Pipe

        @staticmethod
        def Process(**call: Any) -> Any:  # noqa: N802 - its name in multiprocessing
            begun.append(call)
            return real.Process(**call)

    monkeypatch.setattr("training.data.avatars.generate.get_context", lambda _: Context)
    monkeypatch.setattr("training.data.avatars.generate.available", lambda: 2)
    assert generate(tmp_path / "faces", "--processes", 0) == 0
    assert len(begun) == 2
    # No more of them than there are blocks to draw.
    assert generate(tmp_path / "more", "--processes", 9) == 0
    assert len(begun) == 4
    assert not multiprocessing.active_children()


def children(pid: int) -> list[int]:
    """The running child processes of ``pid``."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether ``pid`` runs; a zombie does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Undoes that a shell lets background processes, and their children, ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def started(
    root: Path, out: Path, log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A process that draws more faces than it can finish, and its child processes."""
    call = ["avatars", "--count", "100000", "--processes", "2", "--out", str(out)]
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "training", *call], cwd=root, stderr=file, start_new_session=True
        )
    try:
        eventually(lambda: re.search(r"\b[1-9]\d*/100000", log.read_text()))
        workers = children(process.pid)
        assert len(workers) >= 2
        yield process, workers
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


listed = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="this system does not list processes in /proc"
)


@listed
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_command_leaves_no_faces_and_no_process(
    stop: signal.Signals, root: Path, tmp_path: Path
) -> None:
    place, log = tmp_path / "data", tmp_path / "log"
    with started(root, place / "faces", log) as (process, workers):
        process.send_signal(stop)
        code = process.wait(PATIENCE)
        eventually(lambda: not any(alive(pid) for pid in workers))
    assert code == (130 if stop == signal.SIGINT else -stop)
    assert "Traceback" not in log.read_text()
    # A killed process cannot clean up: it leaves a hidden folder, but no data set.
    left = list(place.iterdir())
    assert all(path.name.startswith(".part-") for path in left)
    assert stop != signal.SIGINT or not left
    assert not list(place.rglob(FILE))


@listed
def test_a_killed_worker_is_reported_in_one_line(root: Path, tmp_path: Path) -> None:
    place, log = tmp_path / "data", tmp_path / "log"
    with started(root, place / "faces", log) as (process, workers):
        # Python's resource tracker is a child process too.
        calls = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in workers}
        os.kill(next(pid for pid, call in calls.items() if "spawn_main" in call), signal.SIGKILL)
        assert process.wait(PATIENCE) == 1
    assert "error: --processes 2: a worker process was killed" in log.read_text().splitlines()[-1]
    assert "Traceback" not in log.read_text()
    assert list(place.iterdir()) == []
