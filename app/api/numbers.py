"""Numbers in requests: text in a query, a path or a header, and numbers in JSON.

pydantic accepts texts such as ``1_000``, ``+3``, ``007`` and ``3.0``, which other programs read as
another value, or as another URL. So they are refused.
"""

import re

from app.middleware.request_context import PLAIN_NUMBER

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
# Texts that pydantic may accept; it refuses all others itself.
_LIKE_INTEGER = re.compile(r"\s*[+-]?[0-9_]+(\.0*)?\s*")
_LIKE_NUMBER = re.compile(r"[\s0-9_+\-.eE]+")


def integral(number: object) -> object:
    """``number`` as an integer if it is a float without a fraction, else unchanged.

    In JSON, 3.0 is an integer just like 3 (JSON Schema 2020-12, Validation, section 6.1.1).
    """
    return int(number) if isinstance(number, float) and number.is_integer() else number


def decimal(received: object) -> object:
    """``received`` as ``integral`` returns it. Raises ValueError for text that is not decimal."""
    if not isinstance(received, str):
        return integral(received)
    if not _INTEGER.fullmatch(received) and _LIKE_INTEGER.fullmatch(received):
        raise ValueError("written in decimal digits alone, without leading zeros")
    return received


def plain(received: object) -> object:
    """``received`` unchanged. Raises ValueError for text that is not a plain decimal number."""
    if not isinstance(received, str) or PLAIN_NUMBER.fullmatch(received):
        return received
    if _LIKE_NUMBER.fullmatch(received):
        raise ValueError("written in decimal digits, without leading zeros, plus signs or spaces")
    return received
