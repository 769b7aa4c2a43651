"""Remembers which versions have ended their process, so that the next process leaves them out.

A crash inside a graph, or a batch that never ends, ends the whole server, and after the restart the
next such request ends it again. So every process marks in a file which of its versions compute. If
a fatal signal ends it, Python's fault handler writes a trace into another file; if a batch hangs,
the watchdog writes one. The next process that starts finds both files. A process that exits, or
that somebody else kills (SIGKILL), leaves no trace and blames no version.
"""

import faulthandler
import json
import logging
import mmap
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from app.artifact import atomic_files
from app.artifact.version_key import VersionKey
from app.registry.statistics import Compute

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

_MOST_ENDS, _WITHIN_SECONDS = 2, 600.0
"""A version is left out once it has ended this many processes within this many seconds."""
_SLOTS, _SLOT_BYTES = 256, 256
_MARKS, _TRACE, _ENDS, _LOCK = ".marks", ".trace", ".ends", "lock"
_IDLE, _BUSY = 0, 1
REASON: Final = "it ended a process {times} times, the last time by: {trace}; load it to try again"


@dataclass
class Mark:
    """Shows in a file whether one version of this process computes."""

    file: mmap.mmap | None = None
    """None where nothing is remembered."""
    at: int = 0
    """The position of its slot."""

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Mark the version until the context ends."""
        if self.file is None:
            yield
            return
        self.file[self.at] = _BUSY
        try:
            yield
        finally:
            self.file[self.at] = _IDLE

    def marking(self, compute: Compute) -> Compute:
        """``compute``, wrapped to mark the version meanwhile; for one call at a time."""
        file, at = self.file, self.at
        if file is None:
            return compute

        def marked(rows: Mapping[str, NDArray[np.generic]]) -> NDArray[Any]:
            file[at] = _BUSY
            try:
                return compute(rows)
            finally:
                file[at] = _IDLE

        return marked


class CrashLog:
    """The crashes of all processes that share one folder."""

    def __init__(self, folder: Path | None) -> None:
        """Nothing is remembered without ``folder``, or if it cannot be written."""
        self._folder: Path | None = None
        self._file: mmap.mmap | None = None
        self._open_files: list[IO[bytes]] = []
        self._free = list(range(_SLOTS))
        if folder is None or sys.platform == "win32":
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder):
                _collect(folder)
                self._start(folder)
        except OSError as error:
            logger.warning("%s: cannot remember crashes there: %s", folder, error)

    def _start(self, folder: Path) -> None:
        """Create the files of this process, whose locks show that it lives."""
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        marks = (folder / (name + _MARKS)).open("w+b", buffering=0)
        self._open_files.append(marks)
        fcntl.flock(marks, fcntl.LOCK_EX)
        os.posix_fallocate(marks.fileno(), 0, _SLOTS * _SLOT_BYTES)  # a full disk is noticed now
        trace = (folder / (name + _TRACE)).open("w+b", buffering=0)
        self._open_files.append(trace)
        self._file = mmap.mmap(marks.fileno(), _SLOTS * _SLOT_BYTES)
        self._folder = folder
        self._had_handler = faulthandler.is_enabled()
        faulthandler.enable(trace, all_threads=False)

    def mark(self, key: VersionKey, sha256: str) -> Mark:
        """The mark of a version, which is about to be loaded."""
        if self._file is None or not self._free:
            return Mark()
        at = self._free.pop() * _SLOT_BYTES
        content = b"\0" + json.dumps({"version": str(key), "sha256": sha256}).encode()
        self._file[at : at + _SLOT_BYTES] = content[:_SLOT_BYTES].ljust(_SLOT_BYTES, b"\0")
        return Mark(self._file, at)

    def release(self, mark: Mark) -> None:
        """Take back the mark of a version that is not in service any more."""
        if mark.file is not None:
            self._free.append(mark.at // _SLOT_BYTES)

    def note_hang(self) -> None:
        """Record that the process is about to exit because a batch does not end."""
        for file in self._open_files[1:]:
            file.write(b"a batch that did not end\n")

    def reason(self, sha256: str) -> str | None:
        """Why the graph with this hash is left out; None if it is not."""
        found = _read(self._folder / (sha256 + _ENDS)) if self._folder else {}
        return found.get("reason")

    def clear(self, model: str) -> None:
        """Forget the crashes of a model's versions."""
        for path in self._folder.glob(f"*{_ENDS}") if self._folder else ():
            if str(_read(path).get("version")).startswith(f"{model}/"):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove this process's files: it exits regularly."""
        if self._folder is None:
            return
        faulthandler.disable()
        if self._had_handler:
            faulthandler.enable()
        with suppress(OSError), _locked(self._folder):
            for file in self._open_files:
                Path(os.fsdecode(file.name)).unlink(missing_ok=True)
        for file in self._open_files:
            file.close()
        self._folder = None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / _LOCK).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _collect(folder: Path) -> None:
    """Read and remove the files of all processes that have ended."""
    for path in folder.glob(f"*{_MARKS}"):
        trace = path.with_suffix(_TRACE)
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # that process lives
            marks = file.read()
        with suppress(FileNotFoundError):
            if text := trace.read_text(errors="replace").strip():
                for at in range(0, len(marks), _SLOT_BYTES):
                    if marks[at] == _BUSY:
                        _count(folder, marks[at + 1 : at + _SLOT_BYTES], text)
        trace.unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _count(folder: Path, slot: bytes, trace: str) -> None:
    """Count an end of a process against the version in ``slot``."""
    marked = json.loads(slot.rstrip(b"\0"))
    path = folder / (marked["sha256"] + _ENDS)
    now, first_line = time.time(), trace.partition("\n")[0]
    before: list[float] = _read(path).get("times", [])
    times = [*(one for one in before if now - one <= _WITHIN_SECONDS), now]
    logger.error("%s ended a process by: %s", marked["version"], trace)
    found = {"version": marked["version"], "times": times}
    if len(times) >= _MOST_ENDS:
        found["reason"] = REASON.format(times=len(times), trace=first_line)
    atomic_files.write_unsynced(path, json.dumps(found).encode())


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found
