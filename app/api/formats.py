"""The formats of responses with images: the parameter ``format`` names one, or else ``Accept``."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from app.api.content_negotiation import APNG, GIF, JSON, NDJSON, PNG, WEBP, ZIP, choose

SheetFormat = Literal["png", "webp", "json", "zip"]
SeedFormat = Literal["png", "webp", "json", "zip", "urls"]
PathFormat = Literal["png", "gif", "webp", "apng", "json", "ndjson", "zip", "urls"]
Format = Literal[SheetFormat, SeedFormat, PathFormat]

MEDIA_TYPES: dict[Format, str] = {
    "png": PNG,
    "gif": GIF,
    "webp": WEBP,
    "apng": APNG,
    "json": JSON,
    "ndjson": NDJSON,
    "zip": ZIP,
    "urls": JSON,
}
"""``Accept`` chooses between media types, of which ``json`` and ``urls`` have the same."""


@dataclass(frozen=True)
class Formats:
    """The formats that an endpoint offers."""

    names: tuple[Format, ...]
    """The default comes first."""

    def chosen(self, name: Format | None, accept: str | None) -> Format:
        """The format that a request has: ``name``, or without one the best for its ``Accept``.

        Raises NotAcceptableError.
        """
        return name or self._by_media_type[choose(accept, self.media_types)]

    @cached_property
    def media_types(self) -> tuple[str, ...]:
        """Their media types, that of the default first."""
        return tuple(self._by_media_type)

    @cached_property
    def _by_media_type(self) -> dict[str, Format]:
        found: dict[str, Format] = {}
        for name in self.names:
            found.setdefault(MEDIA_TYPES[name], name)
        return found


def _with_default(first: Format, literal: object) -> Formats:
    return Formats((first, *(name for name in get_args(literal) if name != first)))


GENERATED = _with_default("json", SeedFormat)
GRID = _with_default("png", SeedFormat)
VARIATIONS = _with_default("png", SeedFormat)
SUM = _with_default("png", SheetFormat)
ENCODED = _with_default("json", SheetFormat)
PATH = _with_default("png", PathFormat)
