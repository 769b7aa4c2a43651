"""Which representation a client wants: the ``Accept`` header (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

from app.errors import NotAcceptableError, offence

JSON, PNG, ZIP = "application/json", "image/png", "application/zip"
GIF, WEBP, APNG = "image/gif", "image/webp", "image/apng"
NDJSON = "application/x-ndjson"


def choose(accept: str | None, offered: Sequence[str]) -> str:
    """The media type of ``offered`` that ``accept`` weighs highest; the first of equals.

    A range matches by its most exact form: ``image/png;q=0`` refuses PNG whatever ``*/*`` says.
    Raises NotAcceptableError where nothing is left.
    """
    ranges = _ranges(accept or "*/*")
    weights = [_weight(media_type, ranges) for media_type in offered]
    best = max(weights)
    if best == 0:
        allowed = f"one of {', '.join(offered)}"
        problem = offence("Accept", "header", accept, allowed)
        raise NotAcceptableError(f"Accept is {accept!r} but must allow {allowed}", [problem])
    return offered[weights.index(best)]


def _ranges(accept: str) -> dict[str, float]:
    """Media ranges and their quality; a quality that is no number counts as none."""
    ranges: dict[str, float] = {}
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            ranges[name] = min(1.0, max(0.0, float(quality)))
        except ValueError:
            ranges[name] = 0.0
    return ranges


def _weight(media_type: str, ranges: dict[str, float]) -> float:
    family = media_type.partition("/")[0] + "/*"
    return next((ranges[name] for name in (media_type, family, "*/*") if name in ranges), 0.0)
