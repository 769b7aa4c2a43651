"""SIGINT (Ctrl-C) and SIGTERM stop a run between two steps, so that nothing is lost."""

import os
import shlex
import signal
import sys
import threading
from pathlib import Path
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


def resume_command(run: Path, processes: int) -> str:
    """The command that continues ``run``, for the shell in which this process was started."""
    rest = ["fit", "--resume", "--out", str(run)]
    if processes > 1:
        return shlex.join(["torchrun", "--nproc-per-node", str(processes), "-m", "training", *rest])
    return shell_command(*rest)


def shell_command(*words: str) -> str:
    """The command with ``words`` of this program, for the shell in which it was started."""
    started = sys.orig_argv
    launched = "fit" not in started or "WORLD_SIZE" in os.environ  # torchrun's is not the user's
    program = ["python", "-m", "training"] if launched else started[: started.index("fit")]
    return shlex.join([*program, *words])
