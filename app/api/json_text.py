"""Parses JSON from clients, in time and memory that its length bounds."""

import json
from typing import Any

from pydantic_core import from_json

from app.errors import invalid, json_safe, parameter_error

INLINE_BYTES = 2**16
"""Parsing a text of this length takes about as long as waking a thread."""
_OTHERS = 2**12
"""Lists, objects, members and values of a request beside its latents; many times enough."""


class TooManyPartsError(ValueError):
    """The JSON has more parts than any sensible request."""


def load(text: bytes, numbers: int = 0, rows: int = 0) -> object:
    """The value of ``text``, which may hold a matrix of ``rows`` and ``numbers``.

    Objects take up to 40 times the memory of their text. So a long text is refused if it has many
    more of them, or more values, than such a matrix. Raises TooManyPartsError, ParameterError if a
    name occurs twice in an object, and like ``json.loads`` JSONDecodeError, RecursionError, or
    ValueError for text that is not UTF-8.
    """
    _check_size(text, numbers, rows)
    try:
        value: object = from_json(text)  # takes a sixth of the time of json.loads
    except ValueError:
        return json.loads(text, object_pairs_hook=_each_once)
    # Every member has a colon, and so may texts: only then is a slower parser needed.
    if text.count(b":") != (_members(value) if type(value) is dict else 0):
        json.loads(text, object_pairs_hook=_each_once)
    return value


def _check_size(text: bytes, numbers: int, rows: int) -> None:
    if len(text) <= INLINE_BYTES:
        return
    if text.count(b",") > numbers + rows + _OTHERS:
        raise TooManyPartsError(f"the JSON has more than {numbers} values")
    if text.count(b"[") + text.count(b"{") > rows + _OTHERS:
        raise TooManyPartsError(f"the JSON has more than {rows} lists")
    if text.count(b":") > _OTHERS:
        raise TooManyPartsError(f"the JSON has more than {_OTHERS} members")


def _members(value: dict[str, Any]) -> int:
    """The number of members of ``value`` and of the objects in it, or of fewer.

    Lists that do not begin with an object are left out, as they may have a million numbers.
    """
    count = len(value)
    for one in value.values():
        if type(one) is dict:
            count += _members(one)
        elif type(one) is list and one and type(one[0]) is dict:
            count += sum(_members(part) for part in one if type(part) is dict)
    return count


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object with these members. Raises ParameterError for a name that occurs twice."""
    found = dict(members)
    if len(found) == len(members):
        return found
    names: set[str] = set()
    for name, _ in members:
        if name in names:
            values = [value for other, value in members if other == name]
            raise parameter_error(invalid(str(json_safe(name)), "body", values, "given once"))
        names.add(name)
    return found
