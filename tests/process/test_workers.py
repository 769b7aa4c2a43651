"""``python -m app --workers N``: real processes, some of which are stopped or killed."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from app.__main__ import main
from app.observability import logs
from app.server import workers
from app.settings import Settings
from tests.waiting import PATIENCE, eventually, scaled

Serve = Callable[..., AbstractContextManager[tuple["subprocess.Popen[str]", str]]]


def started(process: "subprocess.Popen[str]", count: int) -> list[int]:
    """The process ids of the next ``count`` workers in the log."""
    assert process.stderr
    lines = iter(process.stderr.readline, "")
    matches = (m for line in lines if (m := re.search(r"Started server process \[(\d+)\]", line)))
    return [int(next(matches)[1]) for _ in range(count)]


@contextmanager
def paused(worker: int) -> Iterator[None]:
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def drawn(address: str) -> bytes:
    """An image from a worker that is not paused; a paused one gets every other connection."""
    images: list[bytes] = []

    def answered() -> bool:
        with suppress(httpx.HTTPError):  # 503 while it loads its models
            response = httpx.get(f"{address}/images/fashion-mnist/3/42.png", timeout=scaled(0.3))
            images.append(response.raise_for_status().content)
        return bool(images)

    eventually(answered)
    return images[0]


def test_each_worker_serves_and_a_dead_one_is_replaced(serve: Serve) -> None:
    with serve("--workers", "2") as (process, address):
        first, second = started(process, 2)
        answers = []
        for other in (first, second):
            drawn(address)
            with paused(other):
                answers.append(drawn(address))
        assert answers[0] == answers[1]
        os.kill(first, signal.SIGKILL)
        (third,) = started(process, 1)
        assert third not in {first, second}
        with paused(second):
            assert drawn(address) == answers[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_a_shutdown_waits_for_a_request_in_progress(serve: Serve) -> None:
    with serve("--workers", "2") as (process, address):
        started(process, 2)
        drawn(address)
        url = urlsplit(address)
        with socket.create_connection((url.hostname, url.port), timeout=PATIENCE) as connection:
            head = "POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            head += "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
            connection.sendall(head.encode())
            assert b" 100 " in connection.recv(1000)  # now a worker waits for the body
            process.send_signal(signal.SIGTERM)
            assert process.stderr
            assert any("Waiting for connections to close" in line for line in process.stderr)
            assert process.poll() is None
            connection.sendall(b"{}")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert process.wait(PATIENCE) == 0


def test_a_worker_that_cannot_start_logs_why_and_is_not_restarted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def failing(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("app.main.create_worker_app", failing)
    with pytest.raises(SystemExit) as end:
        workers.worker_factory("app.main:create_worker_app", Settings(workers=2), tmp_path)()
    assert end.value.code == STARTUP_FAILURE  # uvicorn's supervisor then gives up
    assert "no room" in caplog.text


@pytest.mark.parametrize(
    ("flags", "threads"),
    [
        ({"workers": 2, "threads": 8}, 4),
        ({"workers": 3, "threads": 8}, 2),
        ({"workers": 8, "threads": 2}, 1),
        ({"workers": 1}, 5),
    ],
)
def test_workers_share_the_threads(flags: dict[str, int], threads: int) -> None:
    assert workers.worker_settings(Settings(**flags), 5).threads == threads


def test_a_worker_has_twice_as_long_for_an_answer_as_for_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[int] = []

    def supervise(config: uvicorn.Config, *_: object) -> int:
        limits.append(config.timeout_worker_healthcheck)
        return 0

    monkeypatch.setattr(workers, "supervise", supervise)
    monkeypatch.setattr(logs, "config", lambda _: None)  # the log of the tests stays as it is
    assert main(["--workers", "2", "--stalled", "7", "--port", "0"]) == 0
    assert limits == [14]


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end them")
def test_workers_end_with_their_supervisor(serve: Serve) -> None:
    with serve("--workers", "2") as (process, address):
        both = started(process, 2)
        drawn(address)
        assert all(map(alive, both))
        process.kill()
        process.wait(PATIENCE)
        eventually(lambda: not any(map(alive, both)))
        assert not any(map(alive, both))


def test_a_cleaned_temporary_folder_stops_nothing(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serve("--workers", "2") as (process, address):
        first, _ = started(process, 2)
        drawn(address)
        (shared,) = tmp_path.glob("dcgan-*")
        # Renamed first: a worker may write a file while the folder is being removed.
        shutil.rmtree(shared.rename(tmp_path / "removed"))
        process.send_signal(signal.SIGHUP)
        os.kill(first, signal.SIGKILL)
        started(process, 1)
        drawn(address)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_a_stopped_worker_is_replaced_and_delays_no_shutdown(serve: Serve) -> None:
    # Twice as long is also the time in which a worker must have begun to answer.
    with serve("--workers", "2", "--stalled", f"{scaled(2):.0f}") as (process, address):
        first, second = started(process, 2)
        drawn(address)
        os.kill(second, signal.SIGSTOP)
        (third,) = started(process, 1)  # after twice --stalled
        assert third not in {first, second}
        assert not alive(second)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
