"""Several worker processes that listen on one address; uvicorn's supervisor replaces a dead one."""

import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Lock
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.importer import import_from_string
from uvicorn.supervisors import Multiprocess

from app.errors import StartupError
from app.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger(__name__)


def worker_settings(settings: Settings, cpus: int) -> Settings:
    """The settings of one worker: its share of the CPU threads and of each client's rate.

    ``cpus`` is the number of threads to share where ``settings.threads`` is 0.
    """
    threads = max(1, (settings.threads or cpus) // settings.workers)
    rate = settings.rate / settings.workers
    return settings.model_copy(update={"threads": threads, "rate": rate})


def worker_factory(create: str, settings: Settings, shared: Path) -> "partial[FastAPI]":
    """The factory with which every worker creates its application.

    ``create`` names a function as ``module:function``, which the supervisor itself never imports.
    It is called with ``settings``, with the folder ``shared``, in which the workers keep their
    common counters and reload log, and with a function that ends the worker with a StartupError.
    """
    return partial(_create, create, settings, shared, get_context("spawn").Lock())


def supervise(config: uvicorn.Config, on_hangup: Callable[[], object]) -> int:
    """Serve until a signal stops the workers; ``on_hangup`` is called at each SIGHUP.

    Returns the exit status: 0, or 1 if a worker could not start.
    """
    listener = config.bind_socket()
    if sys.platform == "linux":
        listener = _Listener.like(listener)
    supervisor = _Supervisor(config, [listener], on_hangup)
    supervisor.run()
    return int(any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes))


class _Supervisor(Multiprocess):
    """uvicorn's supervisor, with other reactions to SIGHUP and to a second SIGTERM or SIGINT.

    At SIGHUP uvicorn would replace every worker; here they look for new models. At a second signal
    uvicorn would go on waiting; here all workers are killed at once.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        on_hangup: Callable[[], object],
    ) -> None:
        super().__init__(config, sockets)
        self._on_hangup = on_hangup

    def handle_hup(self) -> None:
        """Call ``on_hangup``."""
        self._on_hangup()

    def join_all(self) -> None:
        """Wait until all workers have exited."""
        while any(worker.process.is_alive() for worker in self.processes):
            if self.signal_queue:
                logger.warning("second signal received: exiting at once")
                for worker in self.processes:
                    worker.process.kill()
            time.sleep(0.1)
        super().join_all()


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
