"""Bounds the memory of all uploads that are being received or decoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.errors import OverloadedError

_RETRY_SECONDS = 1


@dataclass
class Upload:
    """What one request has sent so far."""

    memory: "UploadMemory"
    size: int = 0

    def add(self, size: int) -> None:
        """Count ``size`` more bytes. Raises OverloadedError if other uploads take the memory."""
        memory = self.memory
        others = memory.in_use - self.size
        if others and memory.in_use + size > memory.budget:
            detail = f"the server is busy: {others >> 10} KiB of other uploads are in progress"
            raise OverloadedError(detail, _RETRY_SECONDS)
        self.size += size
        memory.in_use += size


class UploadMemory:
    """A budget of bytes. A request that is alone may exceed it, up to the limit of its body."""

    def __init__(self, budget: int) -> None:
        self.budget, self.in_use = budget, 0

    @contextmanager
    def upload(self) -> Iterator[Upload]:
        """The upload of one request, whose memory is free again after the context."""
        one = Upload(self)
        try:
            yield one
        finally:
            self.in_use -= one.size
