"""Prometheus metrics of several worker processes: their sums, and each worker's own resources.

Every worker takes a numbered slot in a shared folder and writes its metrics to memory-mapped files
that carry the slot's number: one file for counters and histograms, one for each kind of gauge. When
a worker dies, its successor takes over the slot and adds to the same files. No count is lost but
that of requests which ended in its last 20 ms, and there are never more files than workers.

A slot is free when nobody holds the lock on its file. The kernel releases that lock however a
process ends.

The folder's disk may be full: the space of a file is allocated before the file is mapped, because
writing to a mapped page without space ends a process (SIGBUS), and a worker without space counts in
memory of its own. The folder may also be cleaned while the workers run: they write it again.
"""

import logging
import mmap
import os
import stat
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from prometheus_client import ProcessCollector, values
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_FIRST_BYTES, _HEADER_BYTES = 2**16, 8
"""Of a file of values, as in prometheus_client."""
_ENTRY_BYTES = 32
"""At most what an entry takes besides its key: length, padding, value and time."""


def join(folder: Path) -> None:
    """Keep the metrics that this process creates from now on in ``folder``, until it ends.

    To be called before any metric is created. If ``folder`` cannot be written, a warning is logged
    and the metrics stay in this process.
    """
    try:
        slot = _Slot(folder)
        for file in folder.glob("gauge_*.db"):
            if _slot_of(file) == slot.name:
                file.unlink()
    except OSError as error:
        logger.warning("the metrics of this worker are not shared: %s", error)
        return
    # prometheus_client reads the folder from the environment whenever it creates a metric, but
    # decides at import whether values lie in files.
    os.environ[_FOLDER] = str(folder)
    values.MmapedDict = slot.file  # type: ignore[attr-defined, assignment]
    values.ValueClass = values.MultiProcessValue(lambda: slot.name)  # type: ignore[no-untyped-call]
    _JOINED[folder] = slot


def renew(folder: Path) -> None:
    """Write the files of this process again if ``folder`` was cleaned."""
    if slot := _JOINED.get(folder):
        try:
            slot.renew()
        except OSError as error:
            slot.warn(error)


class _Slot:
    """The slot of this process, and its files."""

    def __init__(self, folder: Path) -> None:
        """Take a free slot. Raises OSError if ``folder`` cannot be written."""
        self._folder = folder
        self._renewals = 0
        self._warned = False
        self._files: list[_Values] = []
        self._take()

    def _take(self) -> None:
        _create(self._folder)
        self._number = take_slot(self._folder)
        self._id = _identity(_path(self._folder, self._number))
        # prometheus_client opens all files again when this changes.
        self.name = f"{self._number}.{self._renewals}" if self._renewals else str(self._number)

    def renew(self) -> None:
        """Take a slot again, and write all files under its name, if the slot's file is gone."""
        if _identity(_path(self._folder, self._number)) == self._id:
            return
        contents = {file.prefix: file.content() for file in self._files}
        self._renewals += 1
        _create(self._folder)
        previous = self.name
        self._take()
        logger.warning("%s was cleaned; the metrics are written again", self._folder)
        try:
            for prefix, content in contents.items():
                (self._folder / f"{prefix}_{self.name}.db").write_bytes(content)
        except OSError:
            self.name = previous
            raise
        self._files.clear()

    def warn(self, error: OSError) -> None:
        """Log once that the metrics are not shared."""
        if not self._warned:
            self._warned = True
            logger.warning("the metrics of this worker are not shared: %s", error)

    def file(self, name: str) -> "_Values":
        """Open a file of values."""
        opened = _Values(name, self.warn)
        self._files.append(opened)
        return opened


_JOINED: dict[Path, _Slot] = {}
"""The slot of this process in each folder."""


class _Values(MmapedDict):
    """prometheus_client's file of values, its space allocated; in memory where there is none."""

    def __init__(self, name: str, warn: Callable[[OSError], None]) -> None:
        self.prefix = Path(name).name.rpartition("_")[0]
        self._warn = warn
        try:
            with open(name, "a+b") as file:  # noqa: PTH123 # as the class below opens it
                _allocate(file.fileno(), max(_FIRST_BYTES, os.fstat(file.fileno()).st_size))
            super().__init__(name)  # type: ignore[no-untyped-call]
        except OSError as error:
            warn(error)
            self._f, self._m = None, mmap.mmap(-1, _FIRST_BYTES)  # type: ignore[assignment]
            self._capacity, self._positions, self._used = _FIRST_BYTES, {}, _HEADER_BYTES
            self._m[:4] = struct.pack("i", self._used)

    def _init_value(self, key: str) -> None:
        # Its growth here, so that prometheus_client itself finds enough space.
        needed = self._used + len(key.encode()) + _ENTRY_BYTES
        while needed > self._capacity:
            self._grow(2 * self._capacity)
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self, size: int) -> None:
        content = self.content()
        self._capacity = size
        if self._f is not None:
            try:
                _allocate(self._f.fileno(), size)
                self._m = mmap.mmap(self._f.fileno(), size)
            except OSError as error:
                self._warn(error)
            else:
                return
        self._m = mmap.mmap(-1, size)
        self._m[: len(content)] = content

    def content(self) -> bytes:
        """All bytes of the file."""
        return self._m[:]


def _allocate(file: int, size: int) -> None:
    """Extend ``file`` to ``size`` bytes that certainly have space. Raises OSError if it has not."""
    before = os.fstat(file).st_size
    if sys.platform != "linux":  # macOS has no such call
        os.ftruncate(file, max(size, before))
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError:
        os.ftruncate(file, before)
        raise


def _create(folder: Path) -> None:
    """Create ``folder``, or accept an existing one of the same user. Raises OSError otherwise."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise


def _identity(path: Path) -> tuple[int, int] | None:
    """What distinguishes a file from a later one of the same name; None without a file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def take_slot(folder: Path) -> int:
    """Lock and return the lowest free slot of ``folder``; it stays taken until the process ends."""
    slot = 0
    while not _lock(file := os.open(_path(folder, slot), os.O_RDWR | os.O_CREAT)):
        os.close(file)
        slot += 1
    with suppress(OSError):  # without space only the resources of this process are not reported
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
            if not file.name.startswith("gauge_") or _slot_of(file) in living
            if file.stat().st_size  # else it was created without space
        ]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


def _slot_of(file: Path) -> str:
    """The slot in a file's name, as in ``gauge_livemax_3.db``, or ``…_3.1.db`` once renewed."""
    return file.name.rpartition("_")[2].partition(".")[0]


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
