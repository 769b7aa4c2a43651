"""Numbered orders to reload the models folder, which every worker carries out in sequence."""

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from app.artifact.version_key import VersionKey

_PROGRESS = "done-"


@dataclass(frozen=True)
class ReloadOrder:
    """An order to look at one model's folder again, or at the whole models folder."""

    model: str | None = None
    versions: list[int] | None = None
    """The only versions to serve from now on; None for all."""

    def concerns(self, key: VersionKey) -> bool:
        """Whether the order is about the version folder ``key``."""
        return self.model is None or key.name == self.model


class ReloadLog:
    """Orders, numbered from 1, that all processes with the same ``folder`` share.

    Every order is a file that appears complete or not at all, and only one process can claim a
    number. So no lock is needed, and a worker that starts late finds all orders. Without a folder
    the log belongs to this process alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None:
            folder.mkdir(exist_ok=True)
        self._folder = folder
        self._own: list[ReloadOrder] = []
        self.done = 0
        """The number of the last order that this process has carried out."""

    def append(self, order: ReloadOrder) -> int:
        """Add ``order``; return its number."""
        if self._folder is None:
            self._own.append(order)
            return len(self._own)
        number = self.done
        with tempfile.NamedTemporaryFile("w", dir=self._folder, prefix=".") as file:
            json.dump(asdict(order), file)
            file.flush()
            while True:
                number += 1
                with suppress(FileExistsError):
                    os.link(file.name, self._folder / str(number))
                    return number

    def next(self) -> ReloadOrder | None:
        """The first order that this process has not carried out; None without one."""
        if self._folder is None:
            return self._own[self.done] if self.done < len(self._own) else None
        path = self._folder / str(self.done + 1)
        return ReloadOrder(**json.loads(path.read_text())) if path.exists() else None

    def advance(self) -> None:
        """Record that this process has carried out the next order."""
        self.done += 1
        self.publish_progress()

    def publish_progress(self) -> None:
        """Publish the number of the last order that this process has carried out."""
        if self._folder is not None:
            path = self._folder / f"{_PROGRESS}{os.getpid()}"
            part = path.with_name(f".{path.name}")
            part.write_text(str(self.done))
            part.replace(path)

    def done_by_all(self, number: int) -> bool:
        """Whether every living process has carried out order ``number``."""
        if self._folder is None:
            return self.done >= number
        progress = self._folder.glob(f"{_PROGRESS}*")
        return all(int(path.read_text()) >= number for path in progress if _is_alive(path))


def _is_alive(path: Path) -> bool:
    try:
        os.kill(int(path.name.removeprefix(_PROGRESS)), 0)
    except ProcessLookupError:
        path.unlink(missing_ok=True)
        return False
    except PermissionError:  # another user's process has the number now
        return False
    return True
