"""Numbers in requests: text in a query, a path or a header, and numbers in JSON.

pydantic accepts texts that look like a number to somebody, such as ``1_000``, ``+3``, ``007`` or
``3.0``. Another reader would take them for another value or another URL, so they are refused.
"""

import re

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_NUMBER = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
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
    if not isinstance(received, str) or _NUMBER.fullmatch(received):
        return received
    if _LIKE_NUMBER.fullmatch(received):
        raise ValueError("written in decimal digits, without leading zeros, plus signs or spaces")
    return received
