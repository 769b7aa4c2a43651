"""A log handler that never waits for its stream: a thread writes what others log.

A pipe that nobody reads is full after 64 KiB. Whoever writes to it then waits for as long as nobody
reads, and that would be the whole server.
"""

import logging
import os
import select
import threading
from collections.abc import Iterable, Iterator
from typing import TextIO

logger = logging.getLogger(__name__)

_MOST_BYTES = 2**22
"""Lines that wait to be written. What exceeds this is dropped."""
_GATHER_SECONDS = 0.01
"""Lines of this time are written together, which saves most of the system calls and switches."""
_FLUSH_SECONDS = 2.0
"""Time for which the end of the process waits for a stream that accepts nothing."""
_ATOMIC_BYTES = 4096
"""POSIX's PIPE_BUF on Linux: workers that share a pipe do not mix lines up to this many bytes."""


class DroppedLines:
    """Counts lines that were logged and not written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new = 0

    def add(self, lines: int) -> None:
        """Count ``lines`` more."""
        with self._lock:
            self._new += lines

    def take(self) -> int:
        """Return the number of lines since the last call."""
        with self._lock:
            new, self._new = self._new, 0
        return new


DROPPED = DroppedLines()
"""The lines that this process has dropped."""


class QueuedHandler(logging.Handler):
    """Queues formatted lines for a thread that writes them to ``stream``.

    If the stream accepts less than is logged, or nothing, lines are dropped and counted, and a line
    says how many as soon as it accepts lines again. If writing fails, the log says so once.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._lines: list[bytes] = []
        self._bytes = 0
        self._lost = 0
        """Lines dropped since the stream last accepted one."""
        self._writing = self._closed = self._failing = False

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of ``record``, or drop it if too many wait."""
        try:
            line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        except Exception:  # noqa: BLE001 # as logging's own handlers do
            self.handleError(record)
            return
        with self._changed:
            if self._closed or self._bytes + len(line) > _MOST_BYTES or not self._is_writing():
                self._drop(1)
                return
            self._lines.append(line)
            self._bytes += len(line)
            if len(self._lines) == 1:
                self._changed.notify_all()
        if record.levelno >= logging.WARNING:
            self._hurry.set()  # it may be the last line before a crash

    def flush(self) -> None:
        """Wait until everything is written, for at most two seconds."""
        self._hurry.set()
        with self._changed:
            self._changed.wait_for(lambda: not self._lines and not self._writing, _FLUSH_SECONDS)

    def close(self) -> None:
        """Write what is queued, for at most two seconds, and end the thread."""
        self.flush()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()

    def _is_writing(self) -> bool:
        """Whether the thread runs; it is started with the first line."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="log", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no further thread is allowed, or the interpreter ends
                return False
            self._thread = thread
        return True

    def _drop(self, lines: int) -> None:
        self._lost += lines
        DROPPED.add(lines)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines or self._closed)
                if self._closed:
                    return
                self._writing = True
            self._hurry.wait(_GATHER_SECONDS)
            self._hurry.clear()
            with self._changed:
                lines, self._lines, self._bytes = self._lines, [], 0
                lost, self._lost = self._lost, 0
            if lost:
                lines.append(self._notice(lost))
            self._write(lines, lost)

    def _write(self, lines: list[bytes], lost: int) -> None:
        """Write ``lines``; the last one reports that ``lost`` others were dropped, if any were."""
        done = 0
        try:
            for number, chunk in _chunks(lines):
                self._write_all(chunk)
                done += number
        except OSError as error:
            with self._changed:
                self._lost += lost
                self._drop(len(lines) - done - bool(lost))
            if not self._failing:
                self._failing = True
                name = getattr(self._stream, "name", "the stream")
                # Its traceback would report nothing more.
                logger.error("the log cannot be written to %s: %s", name, error)  # noqa: TRY400
        else:
            self._failing = False

    def _write_all(self, data: bytes) -> None:
        # Not by the stream itself, whose lock would be held while this waits: the interpreter needs
        # it when it ends.
        file = self._stream.fileno()
        while data:
            try:
                data = data[os.write(file, data) :]
            except BlockingIOError:
                select.select([], [file], [])

    def _notice(self, lost: int) -> bytes:
        message = "%d log lines were dropped because they could not be written in time"
        record = logger.makeRecord(
            logger.name, logging.WARNING, __file__, 0, message, (lost,), None
        )
        return f"{self.format(record)}\n".encode()


def _chunks(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the number of lines in each piece of at most _ATOMIC_BYTES, and the piece."""
    number, piece = 0, b""
    for line in lines:
        if piece and len(piece) + len(line) > _ATOMIC_BYTES:
            yield number, piece
            number, piece = 0, b""
        number, piece = number + 1, piece + line
    if piece:
        yield number, piece
