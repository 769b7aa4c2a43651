"""Content codings of request bodies (RFC 9110, section 8.4.1): gzip and deflate."""

import zlib
from collections.abc import Iterable
from typing import Final, Literal

from app.errors import ContentCodingError, ParameterError, error_naming, invalid

Coding = Literal["identity", "gzip", "deflate"]
IDENTITY: Final = "identity"
"""The coding of a body that is sent as it is."""

_HEADER = "Content-Encoding"
_NONE = ("", IDENTITY)
_PIECE = 2**16
"""Decompressing this many bytes takes a fraction of a millisecond."""
_DETECT = 47
"""For zlib: the largest window, in either format."""


def coding(values: Iterable[str]) -> Coding:
    """The coding of a body with these values of ``Content-Encoding``.

    Raises ContentCodingError for any other coding, and for several.
    """
    text = ", ".join(values)
    match [name for one in text.split(",") if (name := one.strip().lower()) not in _NONE]:
        case []:
            return IDENTITY
        case ["gzip" | "x-gzip"]:
            return "gzip"
        case ["deflate"]:
            return "deflate"
    refused = invalid(_HEADER, "header", text, "one of identity, gzip, deflate")
    raise error_naming(ContentCodingError, refused)


class Decompressor:
    """Decompresses a body that arrives in pieces, into pieces that take hardly any time each."""

    def __init__(self, most: int = _PIECE) -> None:
        """``most``: bytes of a piece."""
        self._most = most
        self._zlib = zlib.decompressobj(wbits=_DETECT)
        self._rest = b""
        self.is_waiting = False
        """Whether ``take`` may return something."""

    def add(self, compressed: bytes) -> None:
        """Add a piece, once nothing of the one before is waiting."""
        self._rest, self.is_waiting = compressed, True

    def take(self) -> bytes:
        """The next piece, decompressed. Raises ParameterError if the body is damaged."""
        try:
            piece = self._zlib.decompress(self._rest, self._most)
        except zlib.error as error:
            raise _damaged(str(error)) from error
        if self._zlib.unused_data:
            raise _damaged("data follows its end")
        self._rest = self._zlib.unconsumed_tail
        self.is_waiting = len(piece) == self._most and not self._zlib.eof
        return piece

    def check_end(self) -> None:
        """Raise ParameterError if the body is incomplete."""
        if not self._zlib.eof:
            raise _damaged("it is incomplete")


def _damaged(reason: str) -> ParameterError:
    return ParameterError(f"the body cannot be decompressed: {reason}")
