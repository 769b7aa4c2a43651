"""Slots of worker processes: every worker has one, and a successor takes over a free one."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.observability.multiprocess import join, taken_slots

_PROGRAM = """
import sys
from pathlib import Path
from app.observability.multiprocess import take_slot
print(take_slot(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@contextmanager
def worker(root: Path, folder: Path) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """A process that takes a slot and keeps it; yields the slot and the process."""
    command = [sys.executable, "-c", _PROGRAM, str(folder)]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


def test_the_slot_of_a_killed_process_is_taken_over(root: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(root, tmp_path)) for _ in range(3)]
        assert [slot for slot, _ in workers] == [0, 1, 2]
        pids = {slot: process.pid for slot, process in workers}
        assert dict(taken_slots(tmp_path)) == pids
        workers[1][1].kill()
        workers[1][1].wait()
        assert dict(taken_slots(tmp_path)) == {0: pids[0], 2: pids[2]}
        slot, process = stack.enter_context(worker(root, tmp_path))
        assert slot == 1
        assert dict(taken_slots(tmp_path)) == {**pids, 1: process.pid}


def test_an_empty_folder_has_no_taken_slots(tmp_path: Path) -> None:
    assert list(taken_slots(tmp_path)) == []


_COUNTS = """
import sys
from pathlib import Path
from app.observability import multiprocess
folder = Path(sys.argv[1])
multiprocess.join(folder)
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
own = CollectorRegistry()
counter = Counter("shots", "s", ("label",), registry=own)
gauge = Gauge("size", "s", registry=own, multiprocess_mode="livesum")
for line in sys.stdin:
    for k in range(int(line)):
        counter.labels("x" * 100 + str(k)).inc()
    gauge.set(7)
    multiprocess.renew(folder)
    gauge.set(7)
    text = generate_latest(multiprocess.SummedMetrics(folder)).decode()
    lines = [one for one in text.splitlines() if not one.startswith("#")]
    total = sum(float(one.split()[1]) for one in lines if one.startswith("shots"))
    print(total, *[one for one in lines if one.startswith("size")], flush=True)
"""


@contextmanager
def counting(root: Path, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that counts what it is sent and returns the sums over all processes."""
    command = [sys.executable, "-c", _COUNTS, str(folder)]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def counted(process: "subprocess.Popen[str]", count: int) -> str:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{count}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_a_cleaned_folder_is_written_again_by_every_worker(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    with counting(root, folder) as first, counting(root, folder) as second:
        assert counted(first, 3) == "3.0 size 7.0"
        assert counted(second, 4) == "7.0 size 14.0"
        shutil.rmtree(folder)
        with counting(root, folder) as third:  # takes a slot before the others are back
            assert counted(third, 5) == "5.0 size 7.0"
            assert counted(second, 0) == "9.0 size 14.0"
            assert counted(first, 1) == "13.0 size 21.0"
            assert sorted(slot for slot, _ in taken_slots(folder)) == [0, 1, 2]
            assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allocates space")
def test_a_full_folder_ends_no_worker(root: Path, tmp_path: Path) -> None:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({2**17}, -1))\n"
    command = [sys.executable, "-c", _IGNORED + limit + _COUNTS, str(tmp_path)]
    with subprocess.Popen(
        command,
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert counted(process, 10) == "10.0 size 7.0"
        # These need 300 KiB: what does not fit stays in the memory of the process.
        assert float(counted(process, 1000).split()[0]) >= 10
        assert counted(process, 10).endswith("size 7.0")
        assert process.stdin
        process.stdin.close()
        assert process.wait(10) == 0
        assert process.stderr
        assert process.stderr.read().count("are not shared") == 1


_IGNORED = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"


def test_the_folder_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever knows the name of a cleaned folder may have created it again."""
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    join(tmp_path)
    assert "not shared" in caplog.text
    assert list(tmp_path.iterdir()) == []
