"""What the server and a process for trials say to each other.

It imports little, as the whole server waits for the first of these processes.
"""

from dataclasses import dataclass
from typing import Final

READY: Final = "ready"
"""The first line that such a process writes."""
UNTRIED: Final = "untried"
"""The only key of the answer about a version that has passed, but not in everything: what is
missing, as lines of text."""


@dataclass(frozen=True)
class Request:
    """One version to be tried."""

    models: str
    version: str
    """The path of its folder below ``models``."""
    files: list[str]
    """The model files that the server may use."""
    provider: str
    """The provider that the server prefers."""
    threads: int
    max_batch: int
    memory: int
    """How many bytes the trial may allocate; 0 for any number."""
    seconds: float
    """The deadline, which the server enforces; 0 for none."""
