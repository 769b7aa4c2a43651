"""Strong entity tags, which identify the exact bytes of a response (RFC 9110, section 8.8.3)."""

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
    """The entity tag of everything that determines a response: a hash of ``parts``."""
    text = "\0".join(map(str, parts)).encode()
    return f'"{sha256(text).hexdigest()[:32]}"'


@cache
def library_versions() -> str:
    """The versions of the libraries that compute latents and encode images.

    Another version may give other bytes.
    """
    return f"{__version__} {np.__version__} {isal.__version__} {PIL.__version__}"


def matches(if_none_match: Sequence[str], etag: str) -> bool:
    """Whether ``If-None-Match`` contains ``etag``, by weak comparison.

    ``if_none_match`` has the values of all such headers. ``*`` matches everything; a malformed list
    matches nothing. RFC 9110, sections 8.8.3.2 and 13.1.2.
    """
    whole = ", ".join(if_none_match).strip()
    if whole == "*":
        return True
    return bool(_LIST.fullmatch(whole)) and etag.removeprefix("W/") in _TAG.findall(whole)
