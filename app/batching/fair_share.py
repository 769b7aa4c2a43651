"""How much of a queue each client holds, and whether that is more than its share."""

from collections.abc import Hashable

# Of clients turned away so many are remembered: a bound on memory, not on fairness.
_MOST = 1000


class FairShare:
    """Counts what waits, by client, against a bound.

    While no more than half of the bound is taken there is room for everybody. Past that, the bound
    is divided among the clients that wait and those that were turned away since it was last empty:
    without the latter, one that fills it alone would have the next free place each time, too.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._held: dict[Hashable, int] = {}
        self._turned_away: set[Hashable] = set()
        self.waiting = 0

    def excess(self, client: Hashable, count: int) -> int:
        """By how much ``client`` would be over its share with ``count`` more; 0 within it.

        Who holds nothing is always within it.
        """
        held = self._held.get(client, 0)
        clients = len(self._held.keys() | self._turned_away | {client})
        if not held or clients == 1 or self.waiting + count <= self._bound // 2:
            return 0
        return max(0, held + count - self._bound // clients)

    def surplus(self, client: Hashable, count: int) -> int:
        """By how much ``count`` more would be over the bound; it is noted who was turned away."""
        surplus = max(0, self.waiting + count - self._bound)
        if surplus and len(self._turned_away) < _MOST:
            self._turned_away.add(client)
        return surplus

    def take(self, client: Hashable, count: int) -> None:
        """``count`` more wait for ``client``."""
        self.waiting += count
        self._held[client] = self._held.get(client, 0) + count

    def free(self, client: Hashable, count: int) -> None:
        """``count`` of them wait no more."""
        self.waiting -= count
        self._held[client] -= count
        if not self._held[client]:
            del self._held[client]
        if not self.waiting:
            self._turned_away.clear()
