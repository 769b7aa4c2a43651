"""Several processes that accept from one socket; uvicorn's supervisor replaces one that dies."""

import logging
import sys
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Lock
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from app.cpus import available
from app.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger(__name__)


def share(settings: Settings) -> Settings:
    """What one worker is told: its part of the CPU threads."""
    threads = max(1, (settings.threads or available()) // settings.workers)
    return settings.model_copy(update={"threads": threads})


def factory(settings: Settings) -> "partial[FastAPI]":
    """What makes the application of every worker."""
    return partial(_create, share(settings), get_context("spawn").Lock())


def supervise(config: uvicorn.Config) -> int:
    """Serve until told to stop: 0 after a stop, 1 where a worker could not start."""
    listener = config.bind_socket()
    listener.listen(config.backlog)  # who comes from now on waits, and is not turned away
    supervisor = Multiprocess(config, [listener])
    supervisor.run()
    return int(any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes))


def _create(settings: Settings, told: Lock) -> "FastAPI":
    """The application, in a worker. ``told`` is held once somebody has told of a failure."""
    # The supervisor, which makes no application itself, need not wait for this.
    from app.errors import StartupError
    from app.main import create_app

    try:
        return create_app(settings)
    except StartupError as error:
        if told.acquire(block=False):  # all workers fail alike
            print(f"error: {error}", file=sys.stderr)
    except Exception:
        logger.exception("a worker cannot start")
    # With any other status the supervisor would start it again and again.
    sys.exit(STARTUP_FAILURE)
