"""Chooses the representation of a response by the ``Accept`` header (RFC 9110, section 12.5.1)."""

from functools import lru_cache

from app.errors import NotAcceptableError, invalid
from app.middleware import quality_values

JSON, PNG, ZIP = "application/json", "image/png", "application/zip"
GIF, WEBP, APNG = "image/gif", "image/webp", "image/apng"
NDJSON = "application/x-ndjson"


@lru_cache(64)
def choose(accept: str | None, offered: tuple[str, ...]) -> str:
    """The media type in ``offered`` with the highest quality in ``accept``; of equals, the first.

    The most specific range decides: ``image/png;q=0`` refuses PNG even beside ``*/*``. The offered
    types have no parameters; a range with parameters counts only if the header does not have the
    same range without. Raises NotAcceptableError if every quality is 0.
    """
    ranges = quality_values.parse(accept or "*/*")
    qualities = [_quality(media_type, ranges) for media_type in offered]
    best = max(qualities)
    if best == 0:
        allowed = f"one of {', '.join(offered)}"
        problem = invalid("Accept", "header", accept, allowed)
        detail = f"Accept is {problem.value!r} but must allow {allowed}"
        raise NotAcceptableError(detail, [problem])
    return offered[qualities.index(best)]


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    family = media_type.partition("/")[0] + "/*"
    matching = (media_type, f"{media_type};", family, "*/*")  # the most specific first
    return next((ranges[name] for name in matching if name in ranges), 0.0)
