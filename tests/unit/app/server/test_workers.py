"""The supervisor of several workers, whose processes are pretended ones."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import multiprocess

from app.errors import StartupError
from app.server import listeners, workers
from app.settings import Settings


class HastyEvent(threading.Event):
    """Makes the supervisor check its workers without a pause."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(timeout and 0.001)


@pytest.fixture(autouse=True)
def _signals_and_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No pauses between checks; the signal handlers of the supervisor end with the test."""
    monkeypatch.setattr(multiprocess, "threading", SimpleNamespace(Event=HastyEvent))
    handlers = {one: signal.getsignal(one) for one in multiprocess.SIGNALS}
    yield
    for one, handler in handlers.items():
        signal.signal(one, handler)


class PretendedWorker:
    """A worker without a process."""

    started: ClassVar[list["PretendedWorker"]]
    lives: ClassVar[list[Callable[["PretendedWorker"], None]]]
    """What each worker does when it is started, one after the other."""

    def __init__(self, _: uvicorn.Config, sockets: list[socket.socket]) -> None:
        self.sockets, self.pid, self.exitcode = sockets, len(self.started), 0
        self.alive, self.killed = True, False
        self.parent_conn, self.child_conn = Pipe()
        self.process = self  # one object is enough

    def start(self) -> None:
        self.started.append(self)
        self.lives[len(self.started) - 1](self)

    def is_alive(self) -> bool:
        return self.alive

    def kill(self) -> None:
        self.killed |= self.alive
        self.terminate()

    def terminate(self) -> None:
        self.alive = False
        self.parent_conn.close()
        self.child_conn.close()

    def join(self) -> None:
        assert not self.alive


def die(worker: PretendedWorker) -> None:
    worker.alive = False


def fail_to_start(worker: PretendedWorker) -> None:
    worker.alive, worker.exitcode = False, STARTUP_FAILURE


def hang_up(worker: PretendedWorker) -> None:
    worker.child_conn.close()


def serve_once(worker: PretendedWorker) -> None:
    """Answer one ping, then hang up."""
    answers = iter([True])

    def recv() -> bool:
        if answer := next(answers, None):
            return answer
        raise EOFError

    worker.parent_conn = SimpleNamespace(  # type: ignore[assignment]
        poll=lambda: True, recv=recv, send=lambda _: None, close=lambda: None
    )


def be_out_of_processes(worker: PretendedWorker) -> None:
    worker.alive = False
    raise BlockingIOError(11, "Resource temporarily unavailable")


def stop(_: PretendedWorker) -> None:
    signal.raise_signal(signal.SIGTERM)


def supervised(
    monkeypatch: pytest.MonkeyPatch,
    *lives: Callable[[PretendedWorker], None],
    listening: Settings | None = None,
    limit: int = 5,
) -> tuple[int, list[PretendedWorker]]:
    """The exit status of a supervisor of one worker, and the workers that it started.

    A worker has ``limit`` seconds to answer.
    """
    PretendedWorker.started, PretendedWorker.lives = [], list(lives)
    monkeypatch.setattr(workers, "_Worker", PretendedWorker)
    config = uvicorn.Config("no:app", log_config=None, timeout_worker_healthcheck=limit)
    with listeners.bound(listening or Settings(port=0)) as bound:
        status = workers.supervise(config, bound, "an address", lambda: None)
    for one in PretendedWorker.started[0].sockets:
        one.close()
    return status, PretendedWorker.started


def test_a_worker_that_died_is_replaced_once_a_process_can_be_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    status, started = supervised(monkeypatch, die, be_out_of_processes, stop)
    assert (status, len(started)) == (0, 3)
    assert "no worker can be started" in caplog.text


def test_a_worker_whose_pipe_is_broken_is_killed_and_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    status, started = supervised(monkeypatch, hang_up, stop)
    assert (status, len(started)) == (0, 2)
    assert started[0].killed
    assert "worker [0] does not answer and is killed" in caplog.text


def test_a_silent_worker_is_replaced_after_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[bool] = []

    def be_silent(worker: PretendedWorker) -> None:
        def is_alive() -> bool:
            checks.append(worker.alive)
            return worker.alive

        monkeypatch.setattr(worker, "is_alive", is_alive)

    status, started = supervised(monkeypatch, be_silent, stop, limit=7)
    assert (status, len(started)) == (0, 2)
    assert started[0].killed
    # The first of two checks a second asks; a worker that is late is looked at once more.
    assert len(checks) == 1 + 2 * 7 + 1


def test_a_first_worker_that_cannot_start_stops_the_supervisor(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    status, started = supervised(monkeypatch, fail_to_start)
    assert (status, len(started)) == (1, 1)
    assert "worker [0] could not start: stopping" in caplog.text


def test_a_later_worker_that_cannot_start_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    status, started = supervised(monkeypatch, serve_once, fail_to_start, stop)
    assert (status, len(started)) == (0, 3)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_socket_of_each_worker_shares_the_address_only_on_linux(
    monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setattr(workers, "sys", SimpleNamespace(platform=platform))
    shared = []

    def look(worker: PretendedWorker) -> None:
        (listener,) = worker.sockets
        shared.append(listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) != 0)
        stop(worker)

    assert supervised(monkeypatch, look)[0] == 0
    assert shared == [platform == "linux"]


def test_all_workers_accept_from_the_same_unix_socket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = []

    def look(worker: PretendedWorker) -> None:
        names.extend(one.getsockname() for one in worker.sockets)
        stop(worker)

    path = tmp_path / "s"
    assert supervised(monkeypatch, look, listening=Settings(uds=path))[0] == 0
    assert names == [str(path)]


def test_without_shared_memory_the_error_names_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse() -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(workers, "get_context", lambda _: SimpleNamespace(Lock=refuse))
    with pytest.raises(StartupError, match=r"\(Read-only file system\): make /dev/shm writable"):
        workers.worker_factory("no:app", Settings(), tmp_path)


def test_without_a_writable_temporary_folder_the_error_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    with workers.shared_folder() as shared:
        assert shared.is_dir()
    assert not shared.exists()
    monkeypatch.setattr(workers, "TemporaryDirectory", refuse)
    with pytest.raises(StartupError, match=r"none is writable .* TMPDIR"), workers.shared_folder():
        pass


@pytest.mark.parametrize("orphaned", [False, True])
def test_a_worker_without_its_supervisor_ends_before_it_serves(
    monkeypatch: pytest.MonkeyPatch, *, orphaned: bool
) -> None:
    """``orphaned``: the supervisor died before the worker asked to be told of it."""
    sockets: list[socket.socket] = []
    asked: list[tuple[int, int]] = []
    served: list[bool] = []

    def process(_: uvicorn.Config, target: Any, given: list[socket.socket]) -> SimpleNamespace:
        sockets.extend(given)
        return SimpleNamespace(start=lambda: target(given), kill=lambda: None)

    def serve(*_: object) -> None:
        served.append(True)
        sys.exit(0)

    system = SimpleNamespace(prctl=lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(multiprocess, "get_subprocess", process)
    monkeypatch.setattr(multiprocess, "threading", threading)
    monkeypatch.setattr(multiprocess.Process, "always_pong", lambda _: None)
    monkeypatch.setattr(uvicorn.Server, "run", serve)
    monkeypatch.setattr(workers, "Finalize", lambda *_, **__: None)
    monkeypatch.setattr(workers, "ctypes", SimpleNamespace(CDLL=lambda _: system))
    parent = SimpleNamespace(pid=os.getpid()) if orphaned else None
    monkeypatch.setattr(workers, "parent_process", lambda: parent)
    config = uvicorn.Config("no:app", log_config=None)
    with pytest.raises(SystemExit) as ended, listeners.bound(Settings(port=0)) as bound:
        workers.supervise(config, bound, "an address", lambda: None)
    for one in sockets:
        one.close()
    assert ended.value.code == 0
    assert asked == ([(1, signal.SIGTERM)] if orphaned else [])
    assert served == ([] if orphaned else [True])


def test_only_one_worker_prints_why_all_of_them_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def create(_: Settings, __: Path, fail: Callable[[StartupError], None]) -> None:
        fail(StartupError("no model"))

    class EndedError(BaseException):
        pass

    def end(status: int) -> None:
        raise EndedError(status)

    flushed: list[bool] = []
    monkeypatch.setitem(sys.modules, "pretended", SimpleNamespace(create=create))  # type: ignore[arg-type]
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(logging, "shutdown", lambda: flushed.append(True))
    factory = workers.worker_factory("pretended:create", Settings(), tmp_path)
    for _ in range(2):
        with pytest.raises(EndedError, match=str(STARTUP_FAILURE)):
            factory()
    assert capsys.readouterr().err == "error: no model\n"
    assert flushed == [True, True]
