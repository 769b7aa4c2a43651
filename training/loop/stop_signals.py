"""SIGINT (Ctrl-C) and SIGTERM stop a run between two steps, so that nothing is lost."""

import os
import signal
import threading
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Notes signals while it is entered as a context manager, in the main thread."""

    def __init__(self, second_ends: bool = True) -> None:
        """``second_ends``: whether a second signal has its usual effect and ends the process.

        Processes of a group get the same signal more than once: from the terminal and by torchrun.
        """
        self._second_ends = second_ends
        self._before: dict[int, Any] = {}
        self._received = 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def __call__(self) -> bool:
        """Whether a signal has arrived."""
        return bool(self._received)

    @property
    def status(self) -> int:
        """The exit status of a process that ends by the signal: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + (self._received or signal.SIGTERM)

    def _note(self, number: int, _: FrameType | None) -> None:
        if not self._received:
            self._received = number
            # Not print: the signal may have interrupted one.
            os.write(2, b"\nstopping after this step and saving ...\n")
            if self._second_ends:
                self._restore()

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
