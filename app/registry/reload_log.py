"""Numbered orders to reload the models folder, which every worker carries out in sequence."""

import json
import logging
import os
import tempfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from app.artifact.version_key import VersionKey

logger = logging.getLogger(__name__)

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
    number. So no lock is needed, and a worker that starts late finds all orders. If the folder is
    cleaned, the orders in it are lost and further ones are not. Without a folder the log belongs to
    this process alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._own: list[ReloadOrder] = []
        self._taken = 0
        """The number of the last order that this process has begun to carry out."""
        self._appended = 0
        """The number of the last order that this process has added."""
        self._unfinished: set[int] = set()

    def append(self, order: ReloadOrder) -> int:
        """Add ``order``; return its number. Raises OSError if the folder cannot be written."""
        if self._folder is None:
            self._own.append(order)
            return len(self._own)
        self._folder.mkdir(exist_ok=True)
        number = max(
            [self._taken, self._appended, *(taken for taken, _ in _progress(self._folder))]
        )
        with tempfile.NamedTemporaryFile("w", dir=self._folder, prefix=".") as file:
            json.dump(asdict(order), file)
            file.flush()
            while True:
                number += 1
                with suppress(FileExistsError):
                    os.link(file.name, self._folder / str(number))
                    self._appended = number
                    return number

    def take(self) -> tuple[int, ReloadOrder] | None:
        """The number of the next order and the order, which this process will carry out now.

        None without one. Orders may finish in another sequence than that in which they are taken.
        """
        number = self._taken + 1
        if self._folder is None:
            if number > len(self._own):
                return None
            order = self._own[number - 1]
        else:
            if not (self._folder / f"{_PROGRESS}{os.getpid()}").exists():
                self.publish_progress()
            first = _first(self._folder, number)
            if first is None:
                return None
            number = first
            order = ReloadOrder(**json.loads((self._folder / str(number)).read_text()))
        self._taken = number
        self._unfinished.add(number)
        return number, order

    def finish(self, number: int) -> None:
        """Record that this process has carried out order ``number``."""
        self._unfinished.discard(number)
        self.publish_progress()

    def publish_progress(self) -> None:
        """Publish which orders this process has carried out, if the folder can be written.

        If it cannot, they wait for this process until their time limit.
        """
        if self._folder is None:
            return
        path = self._folder / f"{_PROGRESS}{os.getpid()}"
        part = path.with_name(f".{path.name}")
        try:
            self._folder.mkdir(exist_ok=True)
            part.write_text(json.dumps([self._taken, sorted(self._unfinished)]))
            part.replace(path)
        except OSError as error:
            logger.warning("the progress of reload orders cannot be written: %s", error)

    def done_by_all(self, number: int) -> bool:
        """Whether every living process has carried out order ``number``."""
        if self._folder is None:
            return _is_done(number, self._taken, self._unfinished)
        return all(_is_done(number, *progress) for progress in _progress(self._folder))


def _first(folder: Path, number: int) -> int | None:
    """The first order from ``number`` on; there is a gap only if the folder was cleaned."""
    if (folder / str(number)).exists():
        return number
    with suppress(FileNotFoundError):
        numbers = (int(path.name) for path in folder.iterdir() if path.name.isdecimal())
        return min((one for one in numbers if one > number), default=None)
    return None


def _progress(folder: Path) -> list[tuple[int, list[int]]]:
    """Of every living process, the last order that it has taken and those not yet finished."""
    found = []
    for path in folder.glob(f"{_PROGRESS}*"):
        # A process may end at any time, and another one then removes its file.
        with suppress(FileNotFoundError):
            if _is_alive(path):
                taken, unfinished = json.loads(path.read_text())
                found.append((taken, unfinished))
    return found


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
