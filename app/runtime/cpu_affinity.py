"""Threads that work for another one, and keep out of its way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.runtime import cpus

_TASKS = Path("/proc/self/task")


class Crew:
    """Threads that are kept off the CPU of whoever has work for them.

    A system that sees no other CPU near by would wake them there, to wait until it is free.
    """

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._left: object = None

    def join(self) -> None:
        """Count the thread that calls among them."""
        self._ids.append(threading.get_native_id())

    @contextmanager
    def joined_by_others(self) -> Iterator[None]:
        """Count those among them that a library begins meanwhile."""
        before = _not_of_python()
        yield
        self._ids += _not_of_python() - before

    def make_way(self) -> None:
        """Leave the CPU of the thread that calls, which is about to be busy."""
        here = cpus.current()
        if here is not None and self._left != (here, len(self._ids)):
            cpus.leave(self._ids, here)
            self._left = (here, len(self._ids))


def _not_of_python() -> set[int]:
    """The native ids of this process's other threads; none where the system does not list them."""
    with suppress(OSError):
        listed = {int(path.name) for path in _TASKS.iterdir()}
        return listed - {thread.native_id for thread in threading.enumerate()}
    return set()
