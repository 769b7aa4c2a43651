"""Metrics of several processes as if they were one's, and how each of them fares.

They share a folder of memory-mapped files, of which each has one of its counters and one of each
kind of gauge. They bear the number of its slot, and whoever takes a slot over counts on from where
its predecessor died: no count is lost, and there are never more files than processes.
"""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from prometheus_client import ProcessCollector, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.observability import slots

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def join(folder: Path) -> None:
    """Let all that this process counts from now on be in ``folder``, for as long as it lives."""
    slot = slots.take(folder)
    for gauges in folder.glob(f"gauge_*_{slot}.db"):
        gauges.unlink()
    # prometheus_client asks the environment for the folder, but for processes only when imported.
    os.environ[_FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


class Together(Collector):
    """The sums over all processes, those that died included; gauges of those that live."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """All that any of them counted."""
        living = {str(slot) for slot, _ in slots.taken(self._folder)}
        files = [
            str(file)
            for file in self._folder.glob("*.db")
            if not file.name.startswith("gauge_") or file.stem.rpartition("_")[2] in living
        ]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


class Processes(Collector):
    """Memory, CPU time and open files of every process, labelled by its number."""

    def __init__(self, folder: Path | None) -> None:
        """Without ``folder``, of this one."""
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """What the kernel knows of each; nothing where there is no /proc."""
        found: dict[str, Metric] = {}
        own = [(0, os.getpid())]
        for slot, pid in slots.taken(self._folder) if self._folder else own:
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                for sample in metric.samples:
                    sample.labels["worker"] = str(slot)
                known = found.setdefault(metric.name, metric)
                if known is not metric:
                    known.samples += metric.samples
        yield from found.values()
