"""Which representation a client wants (RFC 9110, section 12.5)."""

import re
from functools import lru_cache

from app.api.allowed import told
from app.errors import NotAcceptableError, offence

JSON, PNG, ZIP = "application/json", "image/png", "application/zip"
GIF, WEBP, APNG = "image/gif", "image/webp", "image/apng"
NDJSON = "application/x-ndjson"

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
_QUALITY = re.compile(r"\d+\.?\d*|\.\d+", re.ASCII)


@lru_cache(64)
def choose(accept: str | None, offered: tuple[str, ...]) -> str:
    """The media type of ``offered`` that ``accept`` weighs highest; the first of equals.

    A range matches by its most exact form: ``image/png;q=0`` refuses PNG whatever ``*/*`` says.
    What is offered has no parameters: a range with some counts where there is none without.
    Raises NotAcceptableError where nothing is left.
    """
    ranges = _weights(accept or "*/*")
    weights = [_weight(media_type, ranges) for media_type in offered]
    best = max(weights)
    if best == 0:
        allowed = f"one of {', '.join(offered)}"
        problem = offence("Accept", "header", told(accept), allowed)
        detail = f"Accept is {problem.value!r} but must allow {allowed}"
        raise NotAcceptableError(detail, [problem])
    return offered[weights.index(best)]


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a client takes what gzip made (section 12.5.3)."""
    codings = _weights(accept_encoding)
    return next((codings[name] > 0 for name in ("gzip", "x-gzip", "*") if name in codings), False)


def _weights(header: str) -> dict[str, float]:
    """What is named, and its quality (section 12.4.2); the highest where it is named twice.

    With parameters the name ends in a semicolon. A quality that is no number counts as none.
    """
    weights: dict[str, float] = {}
    for part in _QUOTED.sub("", header.lower()).split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        place = next((k for k, p in enumerate(parameters) if p.startswith("q=")), len(parameters))
        # What follows the quality is an extension that nobody used.
        quality = parameters[place][2:] if place < len(parameters) else "1"
        weight = min(1.0, float(quality)) if _QUALITY.fullmatch(quality) else 0.0
        key = f"{name};" if any(parameters[:place]) else name
        weights[key] = max(weight, weights.get(key, 0.0))
    return weights


def _weight(media_type: str, ranges: dict[str, float]) -> float:
    family = media_type.partition("/")[0] + "/*"
    forms = (media_type, f"{media_type};", family, "*/*")
    return next((ranges[name] for name in forms if name in ranges), 0.0)
