"""Slots of worker processes: every worker has one, and a successor takes over a free one."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, Counter, values
from prometheus_client.metrics_core import Metric

from app.observability import multiprocess
from app.observability.multiprocess import SummedMetrics, join, renew, taken_slots
from tests.waiting import PATIENCE

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
        assert process.wait(PATIENCE) == 0
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


@pytest.fixture
def _own_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restores what ``join`` sets for the whole process."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    for name in ("MmapedDict", "ValueClass"):
        monkeypatch.setattr(values, name, getattr(values, name))


def counter_of_this_process() -> Counter:
    return Counter("shots", "s", ("label",), registry=CollectorRegistry())


def counted_here(counter: Counter) -> float:
    return total(counter.collect())


def counted_by_all(folder: Path) -> float:
    return total(SummedMetrics(folder).collect())


def total(metrics: Iterable[Metric]) -> float:
    """The sum over all labels, without the times of creation."""
    samples = [one for metric in metrics for one in metric.samples]
    return sum(one.value for one in samples if one.name == "shots_total")


def refuse_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_that_was_never_joined_is_not_renewed(tmp_path: Path) -> None:
    renew(tmp_path / "other")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_own_values")
def test_a_folder_that_a_file_replaced_is_reported_once_and_renewed_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "shared"
    join(folder)
    counter = counter_of_this_process()
    counter.labels("a").inc(3)
    assert counted_by_all(folder) == 3
    shutil.rmtree(folder)
    folder.touch()
    renew(folder)
    renew(folder)
    assert caplog.text.count("are not shared") == 1
    folder.unlink()
    renew(folder)
    counter.labels("a").inc()
    assert counted_by_all(folder) == 4


@pytest.mark.usefixtures("_own_values")
def test_a_cleaned_folder_without_space_leaves_the_counts_in_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "shared"
    join(folder)
    counter = counter_of_this_process()
    counter.labels("a").inc(3)
    shutil.rmtree(folder)
    monkeypatch.setattr(Path, "write_bytes", refuse_space)
    renew(folder)
    counter.labels("a").inc()
    assert counted_here(counter) == 4
    assert caplog.text.count("are not shared") == 1


@pytest.mark.usefixtures("_own_values")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allocates space")
def test_without_any_space_all_is_counted_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refuse_space)
    join(tmp_path)
    counter = counter_of_this_process()
    for k in range(1000):  # more than a file's first 64 KiB
        counter.labels("x" * 100 + str(k)).inc()
    assert counted_here(counter) == 1000
    assert counted_by_all(tmp_path) == 0
    assert caplog.text.count("are not shared") == 1


@pytest.mark.usefixtures("_own_values")
def test_a_system_that_allocates_no_space_shares_its_counts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocess, "sys", SimpleNamespace(platform="darwin"))
    join(tmp_path)
    counter = counter_of_this_process()
    for k in range(1000):
        counter.labels("x" * 100 + str(k)).inc()
    assert counted_by_all(tmp_path) == 1000
