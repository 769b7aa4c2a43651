"""A cache of files in memory with a bound on their bytes."""

import sys
from collections import OrderedDict

_ENTRY_OVERHEAD = 200
"""Approximate bytes that one entry of the dictionary takes."""


class LruCache:
    """Files by key; when their bytes exceed the bound, the least recently used are evicted."""

    def __init__(self, max_bytes: int) -> None:
        """``max_bytes`` bounds the files and their bookkeeping together; 0 disables the cache."""
        self._max_bytes = max_bytes
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self.size = 0
        """Bytes in use now."""

    def __len__(self) -> int:
        return len(self._files)

    def get(self, key: str) -> bytes | None:
        """Return the file and mark it as the most recently used, or return None."""
        file = self._files.get(key)
        if file is not None:
            self._files.move_to_end(key)
        return file

    def put(self, key: str, file: bytes) -> None:
        """Store ``file``, unless it alone exceeds the bound; an older file of that key goes."""
        if key in self._files:
            self.size -= _size(key, self._files.pop(key))
        size = _size(key, file)
        if size > self._max_bytes:
            return
        self._files[key] = file
        self.size += size
        while self.size > self._max_bytes:
            evicted_key, evicted = self._files.popitem(last=False)
            self.size -= _size(evicted_key, evicted)


def _size(key: str, file: bytes) -> int:
    return sys.getsizeof(key) + sys.getsizeof(file) + _ENTRY_OVERHEAD
