"""Several worker processes that listen on one address; uvicorn's supervisor replaces a dead one."""

import ctypes
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Lock
from multiprocessing.util import Finalize
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.importer import import_from_string
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from app.errors import StartupError
from app.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger(__name__)

_CHECK_SECONDS = 0.5
"""uvicorn's interval between checks of all workers."""
_PAUSE_CHECKS = 10
"""Checks after a worker that could not start, until it is tried again."""
_PR_SET_PDEATHSIG = 1


def worker_settings(settings: Settings, cpus: int) -> Settings:
    """The settings of one worker: its share of the CPU threads and of each client's rate.

    ``cpus`` is the number of threads to share where ``settings.threads`` is 0.
    """
    threads = max(1, (settings.threads or cpus) // settings.workers)
    rate = settings.rate / settings.workers
    return settings.model_copy(update={"threads": threads, "rate": rate})


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A temporary folder for what the workers share. Raises StartupError if none is writable."""
    try:
        folder = TemporaryDirectory(prefix="dcgan-", ignore_cleanup_errors=True)
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        raise StartupError(
            "workers share their counters in a temporary folder, but none is writable"
            f" ({reason}); name one in the variable TMPDIR, or serve with --workers 1"
        ) from error
    with folder as name:
        yield Path(name)


def worker_factory(create: str, settings: Settings, shared: Path) -> "partial[FastAPI]":
    """The factory with which every worker creates its application.

    ``create`` names a function as ``module:function``, which the supervisor itself never imports.
    It is called with ``settings``, with the folder ``shared``, in which the workers keep their
    common counters and reload log, and with a function that ends the worker with a StartupError.
    Raises StartupError if the workers cannot share a lock.
    """
    try:
        reported = get_context("spawn").Lock()
    except OSError as error:
        raise StartupError(
            f"workers share a semaphore, which cannot be made ({error.strerror}): make /dev/shm "
            "writable, or serve with --workers 1"
        ) from error
    return partial(_create, create, settings, shared, reported)


def supervise(
    config: uvicorn.Config,
    sockets: list[socket.socket],
    address: str,
    on_hangup: Callable[[], object],
) -> int:
    """Serve on bound ``sockets``, at ``address``, until a signal stops the workers.

    ``on_hangup`` is called at each SIGHUP. Returns the exit status: 0, or 1 if a worker could not
    start.
    """
    logger.info("Uvicorn running on %s (Press CTRL+C to quit)", address)
    listeners = [_Listener.like(one) if _can_share(one) else one for one in sockets]
    supervisor = _Supervisor(config, listeners, on_hangup)
    supervisor.run()
    return int(any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes))


class _Supervisor(Multiprocess):
    """uvicorn's supervisor, with other reactions to signals and to workers that fail.

    At SIGHUP uvicorn would replace every worker; here they look for new models. At a second signal
    uvicorn would go on waiting; here all workers are killed at once. uvicorn waits for the answer
    of one worker after the other, and is deaf to signals meanwhile; here nothing waits. It counts
    its own checks and does not read the clock: after a pause of all processes no worker is late.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        on_hangup: Callable[[], object],
    ) -> None:
        super().__init__(config, sockets)
        self._on_hangup = on_hangup
        self._unanswered: dict[Process, int] = {}
        """How many checks each worker's last ping has waited for its answer."""
        self._has_served = False
        self._pause = 0
        """Checks until a worker is started again after one that could not start."""

    def run(self) -> None:
        """Serve until a signal; whatever happens, no worker outlives this."""
        try:
            super().run()
        finally:
            for worker in self.processes:
                worker.process.kill()

    def init_processes(self) -> None:
        """Start all workers."""
        for _ in range(self.processes_num):
            worker = _Worker(self.config, self.sockets)
            worker.start()
            self.processes.append(worker)

    def handle_hup(self) -> None:
        """Call ``on_hangup``."""
        try:
            self._on_hangup()
        except OSError:
            logger.exception("the workers cannot be notified of new models")

    def keep_subprocess_alive(self) -> None:
        """Replace every worker that is dead or has not answered for too long."""
        self._pause = max(0, self._pause - 1)
        for place, worker in enumerate(self.processes):
            if not (worker.process.is_alive() and self._answers(worker)) and not self._pause:
                self._replace(place, worker)

    def _answers(self, worker: Process) -> bool:
        """Ask ``worker`` for a sign of life, unless it still owes one; False if it is late."""
        waited = self._unanswered.get(worker)
        try:
            if waited is not None and worker.parent_conn.poll():
                self._has_served |= worker.parent_conn.recv() is True
                waited = None
            if waited is None:
                worker.parent_conn.send(b"ping")
        except (OSError, EOFError):
            return False
        self._unanswered[worker] = 0 if waited is None else waited + 1
        return self._unanswered[worker] * _CHECK_SECONDS < self.config.timeout_worker_healthcheck

    def _replace(self, place: int, worker: Process) -> None:
        if worker.process.is_alive():
            logger.error("worker [%s] does not answer and is killed", worker.pid)
        worker.kill()
        worker.process.join()
        self._unanswered.pop(worker, None)
        if worker.exitcode == STARTUP_FAILURE:
            if not self._has_served:  # the next one would fail for the same reason
                logger.error("worker [%s] could not start: stopping", worker.pid)
                self.should_exit.set()
                return
            self._pause = _PAUSE_CHECKS
        logger.info("worker [%s] died and is replaced", worker.pid)
        try:
            successor = _Worker(self.config, self.sockets)
            successor.start()
        except OSError:
            logger.exception("no worker can be started")
            self._pause = _PAUSE_CHECKS
        else:
            self.processes[place] = successor

    def join_all(self) -> None:
        """Wait until all workers have exited."""
        while any(worker.process.is_alive() for worker in self.processes):
            if self.signal_queue:
                logger.warning("second signal received: exiting at once")
                for worker in self.processes:
                    worker.process.kill()
            time.sleep(0.1)
        super().join_all()


class _Worker(Process):
    """A worker that writes all of its log before it ends, and ends with its supervisor."""

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal; runs in the new process."""
        # uvicorn raises the signal again in the end, which would end the process at once.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        # Processes that multiprocessing starts do not call the functions of atexit.
        Finalize(None, logging.shutdown, exitpriority=0)
        _end_with_supervisor()
        super().target(sockets)


def _can_share(bound: socket.socket) -> bool:
    """Whether other sockets can be bound to the same address and get a share of its connections."""
    return sys.platform == "linux" and bound.family != socket.AF_UNIX


class _Listener(socket.socket):
    """A bound socket; a process that receives it binds a socket of its own to the same address.

    Linux distributes connections evenly over sockets that share an address. From a single socket,
    the process that wakes up first accepts nearly all connections of a burst.
    """

    @classmethod
    def like(cls, bound: socket.socket) -> Self:
        """The socket ``bound``, whose address other sockets may share from now on."""
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return cls(fileno=bound.detach())

    @classmethod
    def at(cls, family: int, address: tuple[str | int, ...]) -> Self:
        """Another socket that shares ``address``."""
        listener = cls(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        return listener

    def __reduce__(self) -> tuple[Any, ...]:
        return _Listener.at, (int(self.family), self.getsockname())


def _create(create: str, settings: Settings, shared: Path, reported: Lock) -> "FastAPI":
    """The application of a worker. The first worker to acquire ``reported`` prints a failure."""

    def report(error: StartupError) -> None:
        if reported.acquire(block=False):  # all workers fail for the same reason
            print(f"error: {error}", file=sys.stderr, flush=True)

    def fail(error: StartupError) -> None:
        report(error)
        logging.shutdown()
        os._exit(STARTUP_FAILURE)

    try:
        application: FastAPI = import_from_string(create)(settings, shared, fail)
    except StartupError as error:
        report(error)
    except Exception:
        logger.exception("a worker cannot start")
    else:
        return application
    # With any other status the supervisor would restart it again and again.
    sys.exit(STARTUP_FAILURE)


def _end_with_supervisor() -> None:
    """Let the kernel send SIGTERM to this worker when its supervisor dies, however that happens.

    Otherwise it would serve permanently, with nobody to stop or to replace it, and keep the port.
    """
    supervisor = parent_process()
    if supervisor is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor.pid:  # it died before the call
        os.kill(os.getpid(), signal.SIGTERM)
