"""The log handler that never waits for its stream."""

import errno
import fcntl
import logging
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest

from app.observability import log_queue
from app.observability.log_queue import DROPPED, QueuedHandler
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the size of a pipe is Linux's")


@pytest.fixture
def pipe() -> Iterator[tuple[int, QueuedHandler]]:
    """The reading end of a pipe of 4 KiB, and a handler that writes to it."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    DROPPED.take()
    with os.fdopen(writer, "w") as stream:
        handler = QueuedHandler(stream)
        yield reader, handler
        with suppress(OSError):
            os.close(reader)
        handler.close()


def log(handler: logging.Handler, *lines: str) -> None:
    for line in lines:
        handler.handle(logging.LogRecord("app", logging.INFO, __file__, 0, line, (), None))


def read_until(reader: int, end: bytes) -> list[str]:
    """All lines up to one with ``end``, and what arrived with it."""
    received = b""
    while end not in received or not received.endswith(b"\n"):
        assert select.select([reader], [], [], PATIENCE)[0], f"nothing follows {received!r}"
        received += os.read(reader, 2**16)
    return received.decode().splitlines()


def test_every_line_is_written_in_order_by_the_time_of_a_flush(
    pipe: tuple[int, QueuedHandler],
) -> None:
    reader, handler = pipe
    lines = [f"line {k}, é" for k in range(200)]
    log(handler, *lines)
    handler.flush()
    assert read_until(reader, b"line 199") == lines
    log(handler, "a lone surrogate: \ud800")
    assert read_until(reader, b"ud800") == [r"a lone surrogate: \ud800"]
    assert DROPPED.take() == 0


def test_a_pipe_that_nobody_reads_delays_nobody_and_the_gap_is_reported(
    pipe: tuple[int, QueuedHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, handler = pipe
    monkeypatch.setattr(log_queue, "_MOST_BYTES", 20_000)
    log(handler, *["x" * 1000] * 100)
    written = read_until(reader, b"dropped")
    log(handler, "in time again")
    written += read_until(reader, b"again")
    lost = [int(line.split()[0]) for line in written if "log lines were dropped" in line]
    assert written.count("x" * 1000) + sum(lost) == 100
    assert DROPPED.take() == sum(lost) >= 50


def test_the_end_of_the_process_does_not_wait_for_a_reader(
    pipe: tuple[int, QueuedHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, handler = pipe
    monkeypatch.setattr(log_queue, "_FLUSH_SECONDS", 0.1)
    log(handler, *["x" * 1000] * 100)
    closing = threading.Thread(target=handler.close)
    closing.start()
    closing.join(PATIENCE)
    assert not closing.is_alive()


def test_a_broken_pipe_is_reported_once(
    pipe: tuple[int, QueuedHandler], caplog: pytest.LogCaptureFixture
) -> None:
    reader, handler = pipe
    os.close(reader)
    for _ in range(3):
        log(handler, "lost")
        handler.flush()
    assert DROPPED.take() == 3
    (record,) = caplog.records
    assert os.strerror(errno.EPIPE) in record.getMessage()


def test_a_stream_without_a_file_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    DROPPED.take()
    handler = QueuedHandler(StringIO())
    log(handler, "lost")
    handler.flush()
    log(handler, "lost")
    handler.close()
    assert (DROPPED.take(), len(caplog.records)) == (2, 1)


def test_a_full_disk_is_reported_and_what_follows_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Path("/dev/full").open("w") as full, (tmp_path / "log").open("w") as file:
        handler = QueuedHandler(full)
        log(handler, "lost")
        handler.flush()
        os.dup2(file.fileno(), full.fileno())
        log(handler, "written")
        handler.close()
    written = (tmp_path / "log").read_text().splitlines()
    assert written[0] == "written"
    assert written[1].startswith("1 log lines were dropped")
    assert os.strerror(errno.ENOSPC) in caplog.text
    eventually(lambda: not [t for t in threading.enumerate() if t.name == "log"])


def test_a_record_that_cannot_be_formatted_is_reported_and_the_next_one_written(
    pipe: tuple[int, QueuedHandler], capsys: pytest.CaptureFixture[str]
) -> None:
    reader, handler = pipe
    handler.handle(logging.LogRecord("app", logging.INFO, __file__, 0, "%d", ("one",), None))
    assert "Logging error" in capsys.readouterr().err
    log(handler, "next")
    assert read_until(reader, b"next") == ["next"]
    assert DROPPED.take() == 0


def test_lines_are_counted_as_dropped_until_a_thread_can_be_started(
    pipe: tuple[int, QueuedHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    reader, handler = pipe
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        log(handler, "lost", "lost")
    assert DROPPED.take() == 2
    log(handler, "written")
    lines = read_until(reader, b"dropped")
    assert lines[0] == "written"
    assert lines[1].startswith("2 log lines were dropped")


def test_a_full_pipe_that_does_not_block_is_written_as_soon_as_it_is_read() -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    DROPPED.take()
    lines = [str(k) * 1000 for k in range(9)]
    with os.fdopen(writer, "w") as stream:
        handler = QueuedHandler(stream)
        log(handler, *lines)
        eventually(lambda: not select.select([], [stream], [], 0)[1])  # the pipe is full
        assert read_until(reader, lines[-1].encode()) == lines
        handler.close()
    os.close(reader)
    assert DROPPED.take() == 0
