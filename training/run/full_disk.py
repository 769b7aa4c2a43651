"""Tells which file a full disk kept from being written, and what may be deleted."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.artifact import atomic_files
from training.errors import RunError

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def named(path: Path, advice: str) -> Iterator[None]:
    """Write ``path`` in this context. Raises RunError with ``advice`` if the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        atomic_files.partial_path(path).unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free
        reason = "the quota is used up" if error.errno == errno.EDQUOT else "the disk is full"
        raise RunError(f"{path}: {reason}, {free / 1e6:.1f} MB are free. {advice}") from error
