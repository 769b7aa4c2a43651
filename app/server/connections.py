"""The open connections of one process: which of them are served, and which only for health checks.

Connections beyond a limit are kept in a reserve, where only health checks are answered. So a client
that opens many connections cannot make the server look dead. A full reserve closes its oldest
connection, and never the one that has just been opened.

What clients have not read yet stays in memory. Beyond a limit, the connection that has waited the
longest for its client is closed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.errors import ClientConnectionsError, TooManyConnectionsError

ClientName = Callable[[str], str | None]
"""Maps an address to the name under which its connections are counted; None for no limit."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of one process on its clients' connections."""

    connections: int
    """Open connections that may send requests of any kind."""
    reserve: int
    """Further connections, on which only health checks are answered."""
    per_client: int
    """Open connections of one client; 0 for no limit."""
    patience: float
    """Seconds for a request to arrive, and for a response to make progress."""
    unsent_bytes: int
    """Memory for the unsent parts of all responses, see ``ConnectionTable.backlogged``."""
    fast: float = 5
    """Seconds in which a client may read its response, whatever the memory."""


class Connection(Protocol):
    """What is needed of a connection."""

    @property
    def unsent(self) -> int:
        """Bytes that wait in memory to be sent."""

    def abort(self) -> None:
        """Close it at once."""


class ConnectionTable:
    """Counts the connections of one process."""

    def __init__(
        self,
        limits: ConnectionLimits,
        client_name: ClientName,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits, self._clock = limits, clock
        self._client_name = client_name
        self._admitted: dict[Connection, str | None] = {}
        self._counts: dict[str, int] = {}
        """Admitted connections of each client."""
        # Oldest first.
        self._reserve: dict[Connection, str | None] = {}
        self._backlogs: dict[Connection, float] = {}
        """Connections with much unsent data and the time at which it began to wait."""

    def opened(self, connection: Connection, address: str) -> None:
        """Admit a new connection, or put it into the reserve."""
        client = self._client_name(address) if self.limits.per_client else None
        if self._excess(client) is None:
            self._admit(connection, client)
            return
        self._reserve[connection] = client
        if len(self._reserve) > self.limits.reserve:
            oldest = next(iter(self._reserve))
            del self._reserve[oldest]
            oldest.abort()

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._backlogs.pop(connection, None)
        if connection not in self._admitted:
            self._reserve.pop(connection, None)
            return
        client = self._admitted.pop(connection)
        if client is not None:
            self._counts[client] -= 1
            if not self._counts[client]:
                del self._counts[client]

    def refusal(self, connection: Connection) -> TooManyConnectionsError | None:
        """Why only health checks are answered on ``connection``; None if all requests are.

        A connection leaves the reserve as soon as there is room for it.
        """
        if connection in self._admitted:
            return None
        client = self._reserve.get(connection)
        if (error := self._excess(client)) is None:
            self._reserve.pop(connection, None)
            self._admit(connection, client)
        return error

    def backlogged(self, connection: Connection) -> None:
        """Note that a client reads more slowly than its response is written.

        If the unsent data of all connections exceeds its limit, those are closed that have waited
        the longest, except for fast clients.
        """
        now = self._clock()
        self._backlogs[connection] = now
        excess = sum(one.unsent for one in self._backlogs) - self.limits.unsent_bytes
        while excess > 0:
            slowest, began = next(iter(self._backlogs.items()))
            if now - began < self.limits.fast:
                return
            del self._backlogs[slowest]
            excess -= slowest.unsent
            slowest.abort()

    def drained(self, connection: Connection) -> None:
        """Note that hardly any data of a connection is unsent."""
        self._backlogs.pop(connection, None)

    def _excess(self, client: str | None) -> TooManyConnectionsError | None:
        """The limit that one more connection of ``client`` would exceed."""
        if client is not None and self._counts.get(client, 0) >= self.limits.per_client:
            return ClientConnectionsError("the client has too many connections", retry_after=1)
        if len(self._admitted) >= self.limits.connections:
            return TooManyConnectionsError("the server has too many connections", retry_after=1)
        return None

    def _admit(self, connection: Connection, client: str | None) -> None:
        self._admitted[connection] = client
        if client is not None:
            self._counts[client] = self._counts.get(client, 0) + 1
