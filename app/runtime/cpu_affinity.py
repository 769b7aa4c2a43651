"""Pins helper threads away from the CPU of the thread that waits for them."""

import ctypes
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_TASKS = Path("/proc/self/task")


class ThreadAffinity:
    """Helper threads that run on any CPU but that of the thread which gives them work.

    A kernel that sees no other idle CPU nearby would wake a helper on the caller's CPU, where it
    has to wait until the caller is done.
    """

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._avoided: tuple[int, int] | None = None
        """The CPU that was left last, and how many threads there were."""

    def add_current_thread(self) -> None:
        """Add the calling thread to the helpers."""
        self._ids.append(threading.get_native_id())

    @contextmanager
    def adding_native_threads(self) -> Iterator[None]:
        """Add the threads that a native library starts inside the context."""
        before = _native_threads()
        yield
        self._ids += _native_threads() - before

    def avoid_current_cpu(self) -> None:
        """Move the helpers off the CPU of the calling thread, which is about to be busy."""
        cpu = current_cpu()
        if cpu is not None and self._avoided != (cpu, len(self._ids)):
            move_away(self._ids, cpu)
            self._avoided = (cpu, len(self._ids))


def current_cpu() -> int | None:
    """The CPU that runs the calling thread; None where the system does not report it."""
    function = _sched_getcpu()
    return None if function is None else function()


def move_away(threads: Iterable[int], cpu: int) -> None:
    """Restrict ``threads``, given by native id, to this process's CPUs other than ``cpu``."""
    others = os.sched_getaffinity(0) - {cpu}
    for thread in threads:
        with suppress(OSError):  # there is no other CPU, or the thread has ended
            os.sched_setaffinity(thread, others)


@cache
def _sched_getcpu() -> Callable[[], int] | None:
    if not hasattr(os, "sched_setaffinity"):
        return None
    function: Callable[[], int] | None = getattr(ctypes.CDLL(None), "sched_getcpu", None)
    return function


def _native_threads() -> set[int]:
    """Ids of this process's threads that Python did not start; empty without /proc."""
    with suppress(OSError):
        listed = {int(path.name) for path in _TASKS.iterdir()}
        return listed - {thread.native_id for thread in threading.enumerate()}
    return set()
