"""File descriptors: every connection needs one, and ``ulimit -n`` bounds their number."""

import logging
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource

logger = logging.getLogger(__name__)

_SPARE = 64
"""Descriptors that are left for files and other sockets that the process opens later."""


def split(connections: int) -> tuple[int, int]:
    """How many connections can be admitted, at most ``connections``, and kept in reserve.

    Each connection takes a descriptor. The process's limit is raised for ``connections`` and a
    reserve of the same size, as far as the system allows. If that is too little, the reserve
    shrinks first, to an eighth, and a warning says what remains.
    """
    available = _available(2 * connections)
    if available is None:
        return connections, connections
    admitted = max(1, min(connections, available * 7 // 8))
    reserve = max(1, min(connections, available - admitted))
    if admitted < connections:
        logger.warning(
            "too few file descriptors for max_connections %d: at most %d connections are served;"
            " raise the limit (ulimit -Hn) to %d",
            connections,
            admitted,
            2 * connections + _SPARE + _open(),
        )
    return admitted, reserve


def _available(wanted: int) -> int | None:
    """Descriptors for connections, after raising the limit for ``wanted``; None if unlimited."""
    if sys.platform == "win32":
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = _open()
    needed = wanted + used + _SPARE
    if soft == resource.RLIM_INFINITY:
        return None
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft - used - min(_SPARE, soft // 4)


def _open() -> int:
    """The number of descriptors in use, or an estimate where the system does not list them."""
    try:
        return sum(1 for _ in Path("/dev/fd").iterdir())
    except OSError:
        return _SPARE
