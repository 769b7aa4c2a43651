"""The identity of a model version."""

import re
from typing import NamedTuple


class VersionKey(NamedTuple):
    """A model version, or a folder that should be one: the names of its two folders."""

    name: str
    version: str

    @property
    def number(self) -> int | None:
        """The version as a number; None if the folder's name is not a version number."""
        return int(self.version) if re.fullmatch(r"[1-9][0-9]*", self.version) else None

    def __str__(self) -> str:
        """``name/version``: the path below the models folder."""
        return f"{self.name}/{self.version}"
