"""What reads and writes version folders elsewhere; one module implements it for each scheme."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Protocol


class ExchangeError(Exception):
    """A version that cannot be pulled or pushed. The text is the whole message."""


class MissingFileError(ExchangeError):
    """A file that does not exist there, or may not be read.

    S3 answers 403 in both cases, unless the user may list the bucket.
    """


class Store(Protocol):
    """A version folder elsewhere."""

    def address(self, file: str) -> str:
        """The address of a file in it, for messages."""

    def read(self, file: str, limit: int) -> bytes:
        """The content of a file of at most ``limit`` bytes.

        Raises MissingFileError if there is none or if it may not be read, ExchangeError for any
        other failure.
        """


class Target(Store, Protocol):
    """A version folder elsewhere that can be written."""

    def exists(self, file: str) -> bool:
        """Whether it has a file of this name. Raises ExchangeError."""

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files, the last of which appears when all others are there.

        Raises ExchangeError.
        """


def require(module: str, extra: str, scheme: str) -> None:
    """Raise ExchangeError with the command that installs ``module`` if it is not installed."""
    if find_spec(module) is None:
        raise ExchangeError(
            f"{scheme}:// needs {module}, which is not installed: pip install '.[{extra}]'"
        )


def bounded(parts: Iterable[bytes], address: str, limit: int) -> bytes:
    """All ``parts`` of a file. Raises ExchangeError, without reading on, beyond ``limit`` bytes."""
    content = bytearray()
    for part in parts:
        content += part
        check_size(len(content), address, limit)
    return bytes(content)


def check_size(size: int, address: str, limit: int) -> None:
    """Raise ExchangeError if a file of ``size`` bytes is larger than ``limit``."""
    if size > limit:
        raise ExchangeError(f"{address}: is larger than {limit} bytes, which are allowed")


def reason(error: BaseException) -> str:
    """The text of a library's error on one line, with the name of its class."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
