"""What has been ordered of the models folder, in the order in which every worker obeys."""

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

_OBEYED = "obeyed-"


@dataclass(frozen=True)
class Order:
    """Look at the folder of one model anew, or at all of them."""

    model: str | None = None
    versions: list[int] | None = None
    """Which versions of it are wanted from now on; none for all that are there."""

    def concerns(self, folder: str) -> bool:
        """Whether ``folder``, ``name/version``, is to be looked at."""
        return self.model is None or folder.startswith(f"{self.model}/")


class Orders:
    """Orders by number, from 1 on, that all processes with one ``folder`` share.

    Each is a file that appears whole or not at all, and only one process can give it its number:
    there is nothing to lock, and a worker that starts late finds them all. Without a folder they
    are those of one process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None:
            folder.mkdir(exist_ok=True)
        self._folder = folder
        self._own: list[Order] = []
        self.obeyed = 0
        """The number of the last order that this process has carried out."""

    def give(self, order: Order) -> int:
        """Hand out ``order``; returns its number."""
        if self._folder is None:
            self._own.append(order)
            return len(self._own)
        number = self.obeyed
        with tempfile.NamedTemporaryFile("w", dir=self._folder, prefix=".") as file:
            json.dump(asdict(order), file)
            file.flush()
            while True:
                number += 1
                with suppress(FileExistsError):
                    os.link(file.name, self._folder / str(number))
                    return number

    def next(self) -> Order | None:
        """The first order that this process has not carried out, if there is one."""
        if self._folder is None:
            return self._own[self.obeyed] if self.obeyed < len(self._own) else None
        path = self._folder / str(self.obeyed + 1)
        return Order(**json.loads(path.read_text())) if path.exists() else None

    def obey(self) -> None:
        """Say that this process has carried out the next order."""
        self.obeyed += 1
        self.sign()

    def sign(self) -> None:
        """Tell the other processes how far this one is."""
        if self._folder is not None:
            path = self._folder / f"{_OBEYED}{os.getpid()}"
            part = path.with_name(f".{path.name}")
            part.write_text(str(self.obeyed))
            part.replace(path)

    def obeyed_by_all(self, number: int) -> bool:
        """Whether every process that lives has carried out order ``number``."""
        if self._folder is None:
            return self.obeyed >= number
        signed = self._folder.glob(f"{_OBEYED}*")
        return all(int(path.read_text()) >= number for path in signed if _lives(path))


def _lives(path: Path) -> bool:
    try:
        os.kill(int(path.name.removeprefix(_OBEYED)), 0)
    except ProcessLookupError:
        path.unlink(missing_ok=True)
        return False
    except PermissionError:  # somebody else's, who has the number now
        return False
    return True
