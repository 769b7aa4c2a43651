"""Forms with files (RFC 7578), parsed in memory while they arrive.

Starlette's own class around the same parser stores long files on disk, and accepts a form that is
cut off.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header


class FormError(ValueError):
    """The body is no complete form, or has too many parts."""


@dataclass
class Part:
    """One part of a form."""

    name: str
    is_file: bool
    """Whether it has a filename."""
    pieces: list[bytes] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        """What has arrived of its content."""
        return b"".join(self.pieces)


async def parts(stream: AsyncIterator[bytes], content_type: str, most: int) -> list[Part]:
    """The parts of the form in ``stream``, up to ``most``. Raises FormError or as ``stream``."""
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise FormError("Content-Type has no boundary")
    form = _Form(most)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin,
                "on_header_field": form.add_header_name,
                "on_header_value": form.add_header_value,
                "on_header_end": form.end_header,
                "on_headers_finished": form.end_headers,
                "on_part_data": form.add_data,
                "on_end": form.end,
            },
        )
        async for piece in stream:
            parser.write(piece)
    except FormParserError as error:
        raise FormError("it is malformed") from error
    if not form.ended:
        raise FormError("it ends before its last boundary")
    return form.parts


class _Form:
    """Collects what the parser finds."""

    def __init__(self, most: int) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._most = most
        self._name, self._value, self._disposition = b"", b"", b""

    def begin(self) -> None:
        self._name = self._value = self._disposition = b""

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise FormError("a part has no name")
        if len(self.parts) == self._most:
            raise FormError(f"it has more than {self._most} parts")
        name = options[b"name"].decode(errors="replace")
        self.parts.append(Part(name, b"filename" in options))

    def add_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].pieces.append(data[start:end])

    def end(self) -> None:
        self.ended = True
