"""Several processes that listen at one address; uvicorn's supervisor replaces one that dies."""

import logging
import socket
import sys
import time
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Lock
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from app.registry.reload_log import Order, Orders
from app.runtime.cpus import available
from app.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger(__name__)


def share(settings: Settings) -> Settings:
    """What one worker is told: its part of the CPU threads, and of what a client may draw."""
    threads = max(1, (settings.threads or available()) // settings.workers)
    rate = settings.rate / settings.workers
    return settings.model_copy(update={"threads": threads, "rate": rate})


def factory(settings: Settings, shared: Path) -> "partial[FastAPI]":
    """What makes the application of every worker. They count, and hear of orders, in ``shared``."""
    return partial(_create, share(settings), shared, get_context("spawn").Lock())


def supervise(config: uvicorn.Config, orders: Orders) -> int:
    """Serve until told to stop: 0 after a stop, 1 where a worker could not start."""
    listener = config.bind_socket()
    if sys.platform == "linux":
        listener = _Listener.like(listener)
    supervisor = _Supervisor(config, [listener], orders)
    supervisor.run()
    return int(any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes))


class _Supervisor(Multiprocess):
    """uvicorn's, but SIGHUP lets workers look for new models, and a second signal ends at once.

    uvicorn's own would replace every worker at the one, and wait at the other.
    """

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], orders: Orders
    ) -> None:
        super().__init__(config, sockets)
        self._orders = orders

    def handle_hup(self) -> None:
        """Let every worker look."""
        self._orders.give(Order())

    def join_all(self) -> None:
        """Wait for all workers to end."""
        while any(worker.process.is_alive() for worker in self.processes):
            if self.signal_queue:
                logger.warning("a second signal: ending at once")
                for worker in self.processes:
                    worker.process.kill()
            time.sleep(0.1)
        super().join_all()


class _Listener(socket.socket):
    """A bound socket that every process it is sent to makes anew: Linux shares connections out.

    From one socket the process that wakes first accepts nearly all that come at once.
    """

    @classmethod
    def like(cls, bound: socket.socket) -> Self:
        """The same socket. Who binds alike from now on shares its address."""
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return cls(fileno=bound.detach())

    @classmethod
    def at(cls, family: int, address: tuple[str | int, ...]) -> Self:
        """Another one at ``address``."""
        listener = cls(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        return listener

    def __reduce__(self) -> tuple[Any, ...]:
        return _Listener.at, (int(self.family), self.getsockname())


def _create(settings: Settings, shared: Path, told: Lock) -> "FastAPI":
    """The application, in a worker. ``told`` is held once somebody has told of a failure."""
    # The supervisor, which makes no application itself, need not wait for this.
    from app.errors import StartupError
    from app.main import create_app
    from app.observability import multiprocess

    try:
        multiprocess.join(shared)
        return create_app(settings, shared)
    except StartupError as error:
        if told.acquire(block=False):  # all workers fail alike
            print(f"error: {error}", file=sys.stderr)
    except Exception:
        logger.exception("a worker cannot start")
    # With any other status the supervisor would start it again and again.
    sys.exit(STARTUP_FAILURE)
