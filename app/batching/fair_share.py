"""How much of a bounded queue each client occupies, and whether that exceeds its fair share."""

from collections.abc import Hashable

# At most this many refused clients are remembered, to bound memory.
_MAX_REFUSED = 1000


class FairShare:
    """Counts the queued rows of each client against the capacity of the queue.

    While at most half of the capacity is occupied, every client may add rows. Beyond that, the
    capacity is divided equally among the clients with queued rows and the clients refused since the
    queue was last empty. Without the refused ones, a client that fills the queue alone would also
    get every place that becomes free.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._queued: dict[Hashable, int] = {}
        self._refused: set[Hashable] = set()
        self.waiting = 0
        """Number of queued rows of all clients."""

    def excess(self, client: Hashable, count: int) -> int:
        """Return by how many rows ``client`` would exceed its share with ``count`` more, or 0.

        A client without queued rows never exceeds its share.
        """
        queued = self._queued.get(client, 0)
        clients = len(self._queued.keys() | self._refused | {client})
        if not queued or clients == 1 or self.waiting + count <= self._capacity // 2:
            return 0
        return max(0, queued + count - self._capacity // clients)

    def surplus(self, count: int) -> int:
        """Return by how many rows the queue would exceed its capacity with ``count`` more, or 0."""
        return max(0, self.waiting + count - self._capacity)

    def note_refused(self, client: Hashable) -> None:
        """Reserve a share for ``client``, which was refused, until the queue is empty."""
        if len(self._refused) < _MAX_REFUSED:
            self._refused.add(client)

    def add(self, client: Hashable, count: int) -> None:
        """Record that ``count`` rows of ``client`` entered the queue."""
        self.waiting += count
        self._queued[client] = self._queued.get(client, 0) + count

    def remove(self, client: Hashable, count: int) -> None:
        """Record that ``count`` rows of ``client`` left the queue."""
        self.waiting -= count
        self._queued[client] -= count
        if not self._queued[client]:
            del self._queued[client]
        if not self.waiting:
            self._refused.clear()
