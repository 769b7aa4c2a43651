"""The identity of a model version."""

import re
from typing import NamedTuple


class VersionKey(NamedTuple):
    """A model version, or a folder that should be one: the names of its two folders."""

    name: str
    version: str
    """Empty for the folder of a whole model."""

    @property
    def number(self) -> int | None:
        """The version as a number; None if the folder's name is not a version number."""
        return int(self.version) if re.fullmatch(r"[1-9][0-9]*", self.version) else None

    def __str__(self) -> str:
        """``name/version``, or only ``name``: the path below the models folder."""
        return f"{self.name}/{self.version}" if self.version else self.name


def printable(text: str) -> str:
    r"""``text`` on one line of valid UTF-8: other characters and bytes are escaped, as in ``\x1b``.

    Names of files may have any bytes but ``/`` and NUL; Python represents those that are not UTF-8
    as lone surrogates, which no response can contain.
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    if "\udc80" <= char <= "\udcff":  # a byte that is not UTF-8 (PEP 383)
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()
