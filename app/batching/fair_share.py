"""How much of a bounded queue each client occupies, and whether that exceeds its fair share.

The capacity counts rows. Shares count what rows cost, in rows of ordinary cost.
"""

from collections.abc import Hashable

# At most this many refused clients are remembered, to bound memory.
_MAX_REFUSED = 1000


class FairShare:
    """Counts the queued rows of each client, and their cost, against the capacity of the queue.

    While the cost of all rows is at most half of the capacity, every client may add rows. Beyond
    that, the capacity is divided equally among the clients with queued rows and the clients refused
    since the queue was last empty. Without the refused ones, a client that fills the queue alone
    would also get every place that becomes free.

    This decides who is admitted, and FairQueue decides who is next. Turns alone would not do: the
    queue is bounded in order to bound memory, and a client that fills it would leave no room for
    others, whose turn would then never come.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._rows: dict[Hashable, int] = {}
        self._costs: dict[Hashable, float] = {}
        self._cost = 0.0
        self._refused: set[Hashable] = set()
        self._absent = 0
        """Number of refused clients without queued rows."""
        self.waiting = 0
        """Number of queued rows of all clients."""

    def excess(self, client: Hashable, cost: float) -> float:
        """Return by how much ``client`` would exceed its share with rows of this ``cost``, or 0.

        A client without queued rows never exceeds its share.
        """
        if self._cost + cost <= self._capacity // 2 or client not in self._rows:
            return 0
        clients = len(self._rows) + self._absent
        if clients == 1:
            return 0
        return max(0, self._costs[client] + cost - self._capacity // clients)

    def surplus(self, count: int) -> int:
        """Return by how many rows the queue would exceed its capacity with ``count`` more, or 0."""
        return max(0, self.waiting + count - self._capacity)

    def note_refused(self, client: Hashable) -> None:
        """Reserve a share for ``client``, which was refused, until the queue is empty."""
        if client not in self._refused and len(self._refused) < _MAX_REFUSED:
            self._refused.add(client)
            self._absent += client not in self._rows

    def add(self, client: Hashable, count: int, cost: float) -> None:
        """Record that ``count`` rows of ``client``, which ``cost`` as many, entered the queue."""
        self.waiting += count
        if client in self._rows:
            self._rows[client] += count
            self._costs[client] += cost
        else:
            self._rows[client], self._costs[client] = count, cost
            self._absent -= client in self._refused
        self._cost += cost

    def remove(self, client: Hashable, count: int, cost: float) -> None:
        """Record that ``count`` rows of ``client``, with their ``cost``, left the queue."""
        self.waiting -= count
        self._rows[client] -= count
        self._costs[client] -= cost
        self._cost -= cost
        if not self._rows[client]:
            del self._rows[client], self._costs[client]
            self._absent += client in self._refused
        if not self.waiting:
            self._cost = 0.0  # without the rounding errors of many differences
            self._refused.clear()
            self._absent = 0
