"""Prometheus metrics of several worker processes: their sums, and each worker's own resources.

Every worker takes a numbered slot in a shared folder and writes its metrics to memory-mapped files
that carry the slot's number: one file for counters and histograms, one for each kind of gauge. When
a worker dies, its successor takes over the slot and adds to the same files. No count is lost, and
there are never more files than workers.

A slot is free when nobody holds the lock on its file. The kernel releases that lock however a
process ends.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

from prometheus_client import ProcessCollector, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if sys.platform != "win32":
    import fcntl

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def join(folder: Path) -> None:
    """Keep the metrics that this process creates from now on in ``folder``, until it ends.

    To be called before any metric is created.
    """
    slot = take_slot(folder)
    for gauges in folder.glob(f"gauge_*_{slot}.db"):
        gauges.unlink()
    # prometheus_client reads the folder from the environment whenever it creates a metric, but
    # decides at import whether values lie in files.
    os.environ[_FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


def take_slot(folder: Path) -> int:
    """Lock and return the lowest free slot of ``folder``; it stays taken until the process ends."""
    slot = 0
    while not _lock(file := os.open(_path(folder, slot), os.O_RDWR | os.O_CREAT)):
        os.close(file)
        slot += 1
    os.ftruncate(file, 0)
    os.write(file, str(os.getpid()).encode())
    return slot  # the file stays open, because closing it would release the lock


def taken_slots(folder: Path) -> Iterator[tuple[int, int]]:
    """Yield every taken slot of ``folder`` with the process id of its worker."""
    for slot in count():
        try:
            file = os.open(_path(folder, slot), os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            if not _lock(file) and (pid := os.read(file, 20)):
                yield slot, int(pid)
        finally:
            os.close(file)


class SummedMetrics(Collector):
    """Sums of counters over all workers, dead ones included; gauges of living workers only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of all workers, merged."""
        living = {str(slot) for slot, _ in taken_slots(self._folder)}
        files = [
            str(file)
            for file in self._folder.glob("*.db")
            if not file.name.startswith("gauge_") or file.stem.rpartition("_")[2] in living
        ]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


class ProcessMetrics(Collector):
    """Memory, CPU time and open files of every worker, in the label ``worker`` its slot."""

    def __init__(self, folder: Path | None) -> None:
        """Without ``folder``, measure this process alone, as worker 0."""
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Yield what /proc reports of every worker; nothing on systems without /proc."""
        found: dict[str, Metric] = {}
        own = [(0, os.getpid())]
        for slot, pid in taken_slots(self._folder) if self._folder else own:
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                for sample in metric.samples:
                    sample.labels["worker"] = str(slot)
                known = found.setdefault(metric.name, metric)
                if known is not metric:
                    known.samples += metric.samples
        yield from found.values()


def _path(folder: Path, slot: int) -> Path:
    return folder / f"{slot}.slot"


def _lock(file: int) -> bool:
    """Lock ``file`` without waiting; return False if another process holds the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
