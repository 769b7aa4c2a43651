"""Entity tags: names of the very bytes of an answer (RFC 9110, section 8.8.3)."""

import re
from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import isal
import numpy as np
import PIL

from app import __version__

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_LIST = re.compile(rf"[\s,]*(?:{_TAG.pattern}[ \t]*(?:,[\s,]*|$))+")


def strong(*parts: object) -> str:
    """The tag of what ``parts`` determine: equal for equal ones, and else another."""
    told = "\0".join(map(str, parts)).encode()
    return f'"{sha256(told).hexdigest()[:32]}"'


@cache
def makers() -> str:
    """The versions of what draws latents and encodes images: another one may do so otherwise."""
    return f"{__version__} {np.__version__} {isal.__version__} {PIL.__version__}"


def matches(told: Sequence[str], etag: str) -> bool:
    """Whether ``If-None-Match`` names ``etag``, by weak comparison (sections 8.8.3.2 and 13.1.2).

    ``told`` are the values of that header, one a line. ``*`` names everything. What is not a list
    of entity tags names nothing.
    """
    whole = ", ".join(told).strip()
    if whole == "*":
        return True
    return bool(_LIST.fullmatch(whole)) and etag.removeprefix("W/") in _TAG.findall(whole)
