"""Which graphs have passed their trials, for the processes that share a folder.

The workers of a server start at the same time and would try the same versions. So one of them tries
a version, and the others wait for its result.
"""

import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from app.artifact import atomic_files
from app.artifact.card import CardError, digest

if sys.platform != "win32":
    import fcntl

CLOSED: Final = "not tried, because the server is shutting down"
_CHECK_SECONDS, _LONGEST_WAIT = 0.02, 15.0
"""How often a process looks whether it is its turn, and after how long it no longer waits.

The other one may have been stopped.
"""


class TrialResults:
    """Remembers results in a folder, and else in this process."""

    def __init__(self, folder: Path | None, conditions: str) -> None:
        """``conditions`` are those under which results count: limits, libraries, kind of CPU."""
        self._folder, self._conditions = folder, conditions
        self._passed: set[str] = set()

    def has_passed(self, sha256: str) -> bool:
        """Whether the graph with this hash has passed a trial."""
        path = self._path(sha256)
        return sha256 in self._passed or (path is not None and _read(path) is not None)

    def remember_passed(self, sha256: str) -> None:
        """Remember that the graph with this hash has passed."""
        self._passed.add(sha256)
        path = self._path(sha256)
        if path is not None and _read(path) is None:
            with suppress(OSError):  # then it is tried again at the next start
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

    @contextmanager
    def turn(self, hashes: Collection[str], is_closed: Callable[[], bool]) -> Iterator[None]:
        """Let no other process try the graphs with these hashes until the context ends.

        Waits while another one does. Raises CardError if it has refused them meanwhile, or once
        ``is_closed()``.
        """
        path = self._path(" ".join(sorted(hashes)))
        if path is None or sys.platform == "win32":
            yield
            return
        lock, refusal = path.with_suffix(".lock"), path.with_suffix(".refused")
        before = _read(refusal)
        with _opened(lock) as file:
            if file is not None:
                _acquire(file, is_closed)
            if (found := _read(refusal)) and found != before:
                raise CardError(found[1])
            try:
                yield
            except CardError as error:
                if not is_closed():
                    with suppress(OSError):  # then the others try it as well
                        atomic_files.write(refusal, str(error).encode(errors="replace"))
                raise

    def _path(self, name: str) -> Path | None:
        """The file about ``name`` under the present conditions."""
        if self._folder is None:
            return None
        return self._folder / digest(f"{name} {self._conditions}".encode())


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | None]:
    """The open file ``path``; None if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    except OSError:
        yield None
        return
    with file:
        yield file


def _acquire(file: IO[bytes], is_closed: Callable[[], bool]) -> None:
    """Lock ``file``, until it is closed; without a lock if that takes too long or is impossible.

    Raises CardError once ``is_closed()``.
    """
    end = time.monotonic() + _LONGEST_WAIT
    while time.monotonic() < end:
        if is_closed():
            raise CardError(CLOSED)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_CHECK_SECONDS)
        except OSError:
            return
        else:
            return


def _read(path: Path) -> tuple[int, str] | None:
    """When ``path`` was written, in nanoseconds, and its text; None if it cannot be read."""
    with suppress(OSError):
        return path.stat().st_mtime_ns, path.read_text()
    return None
