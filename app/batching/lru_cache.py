"""Encoded images that may be wanted again. Knows no HTTP."""

import sys
from collections import OrderedDict

_PLACE = 200
"""About so many bytes a place in the dictionary takes."""


class LruCache:
    """Files by key, in so many bytes; those that were not used for the longest time make room."""

    def __init__(self, most: int) -> None:
        """``most`` bounds the files together with what it takes to keep them; 0 keeps none."""
        self._most = most
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self.taken = 0
        """How many bytes that is now."""

    def __len__(self) -> int:
        return len(self._files)

    def get(self, key: str) -> bytes | None:
        """The file, from now on the one that was used last."""
        file = self._files.get(key)
        if file is not None:
            self._files.move_to_end(key)
        return file

    def put(self, key: str, file: bytes) -> None:
        """Keep ``file``, unless it is larger than all there may be."""
        if key in self._files:
            self.taken -= _size(key, self._files.pop(key))
        size = _size(key, file)
        if size > self._most:
            return
        self._files[key] = file
        self.taken += size
        while self.taken > self._most:
            oldest, removed = self._files.popitem(last=False)
            self.taken -= _size(oldest, removed)


def _size(key: str, file: bytes) -> int:
    return sys.getsizeof(key) + sys.getsizeof(file) + _PLACE
