"""Numbered orders to reload the models folder, which every worker carries out in sequence."""

import json
import os
import tempfile
from collections.abc import Collection
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
        self._taken = 0
        """The number of the last order that this process has begun to carry out."""
        self._unfinished: set[int] = set()

    def append(self, order: ReloadOrder) -> int:
        """Add ``order``; return its number."""
        if self._folder is None:
            self._own.append(order)
            return len(self._own)
        number = self._taken
        with tempfile.NamedTemporaryFile("w", dir=self._folder, prefix=".") as file:
            json.dump(asdict(order), file)
            file.flush()
            while True:
                number += 1
                with suppress(FileExistsError):
                    os.link(file.name, self._folder / str(number))
                    return number

    def take(self) -> tuple[int, ReloadOrder] | None:
        """The number and the text of the next order, which this process will carry out now.

        None without one. Orders may finish in another sequence than that in which they are taken.
        """
        number = self._taken + 1
        if self._folder is None:
            if number > len(self._own):
                return None
            order = self._own[number - 1]
        else:
            path = self._folder / str(number)
            if not path.exists():
                return None
            order = ReloadOrder(**json.loads(path.read_text()))
        self._taken = number
        self._unfinished.add(number)
        return number, order

    def finish(self, number: int) -> None:
        """Record that this process has carried out order ``number``."""
        self._unfinished.discard(number)
        self.publish_progress()

    def publish_progress(self) -> None:
        """Publish the number of the last order that this process has carried out."""
        if self._folder is not None:
            path = self._folder / f"{_PROGRESS}{os.getpid()}"
            part = path.with_name(f".{path.name}")
            part.write_text(json.dumps([self._taken, sorted(self._unfinished)]))
            part.replace(path)

    def done_by_all(self, number: int) -> bool:
        """Whether every living process has carried out order ``number``."""
        if self._folder is None:
            return _is_done(number, self._taken, self._unfinished)
        progress = self._folder.glob(f"{_PROGRESS}*")
        return all(
            _is_done(number, *json.loads(path.read_text())) for path in progress if _is_alive(path)
        )


def _is_done(number: int, taken: int, unfinished: Collection[int]) -> bool:
    return number <= taken and number not in unfinished


def _is_alive(path: Path) -> bool:
    try:
        os.kill(int(path.name.removeprefix(_PROGRESS)), 0)
    except ProcessLookupError:
        path.unlink(missing_ok=True)
        return False
    except PermissionError:  # another user's process has the number now
        return False
    return True
