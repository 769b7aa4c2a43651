"""Quality values: how much a client prefers each item of an ``Accept…`` header.

RFC 9110, section 12.4.2.
"""

import re

MOST_ITEMS = 100
"""Several times as many as any browser sends."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
_QUALITY = re.compile(r"\d+\.?\d*|\.\d+", re.ASCII)


def parse(header: str) -> dict[str, float]:
    """The quality of each item, from 0 to 1; the highest if an item occurs twice.

    The key of an item with parameters ends in a semicolon. A malformed quality counts as 0. Items
    after the first MOST_ITEMS are ignored.
    """
    qualities: dict[str, float] = {}
    for part in _QUOTED.sub("", header.lower()).split(",", MOST_ITEMS)[:MOST_ITEMS]:
        name, *parameters = (piece.strip() for piece in part.split(";"))
        place = next((k for k, p in enumerate(parameters) if p.startswith("q=")), len(parameters))
        # Parameters after the quality are an extension that nobody ever used.
        text = parameters[place][2:] if place < len(parameters) else "1"
        quality = min(1.0, float(text)) if _QUALITY.fullmatch(text) else 0.0
        key = f"{name};" if any(parameters[:place]) else name
        qualities[key] = max(quality, qualities.get(key, 0.0))
    return qualities
