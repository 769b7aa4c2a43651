import pytest

from app.errors import ClientConnectionsError, TooManyConnectionsError
from app.server.connections import ConnectionLimits, ConnectionTable


class Connection:
    """Records whether it was closed."""

    aborted = False
    unsent = 0

    def abort(self) -> None:
        self.aborted = True


def name(address: str) -> str | None:
    return None if address == "proxy" else address


def table(connections: int = 2, reserve: int = 3, per_client: int = 0) -> ConnectionTable:
    limits = ConnectionLimits(connections, reserve, per_client, patience=1, unsent_bytes=10)
    return ConnectionTable(limits, name)


def opened(table: ConnectionTable, count: int, address: str = "a") -> list[Connection]:
    found = [Connection() for _ in range(count)]
    for connection in found:
        table.opened(connection, address)
    return found


def refused(table: ConnectionTable, connections: list[Connection]) -> list[bool]:
    return [table.refusal(connection) is not None for connection in connections]


def test_connections_beyond_the_limit_are_refused() -> None:
    limited = table()
    assert refused(limited, opened(limited, 4)) == [False, False, True, True]


def test_a_full_reserve_closes_its_oldest_connection() -> None:
    limited = table(reserve=2)
    connections = opened(limited, 6)
    assert [one.aborted for one in connections] == [False, False, True, True, False, False]


def test_a_connection_leaves_the_reserve_when_there_is_room() -> None:
    limited = table()
    first, _, third, fourth = opened(limited, 4)
    limited.closed(first)
    assert refused(limited, [fourth, third, fourth]) == [False, True, False]


def test_a_connection_that_closes_in_the_reserve_makes_no_room() -> None:
    limited = table()
    connections = opened(limited, 4)
    limited.closed(connections[3])
    assert refused(limited, connections[:3]) == [False, False, True]


def test_connections_of_one_client_are_limited() -> None:
    limited = table(connections=9, per_client=2)
    mine, others = opened(limited, 3), opened(limited, 2, "b")
    assert refused(limited, mine + others) == [False, False, True, False, False]
    assert isinstance(limited.refusal(mine[2]), ClientConnectionsError)
    limited.closed(mine[0])
    assert refused(limited, mine[1:]) == [False, False]


def test_a_proxy_is_limited_only_by_the_total() -> None:
    limited = table(connections=3, per_client=1)
    connections = opened(limited, 4, "proxy")
    assert refused(limited, connections) == [False, False, False, True]
    error = limited.refusal(connections[3])
    assert type(error) is TooManyConnectionsError
    assert error.headers == {"Retry-After": "1"}


@pytest.mark.parametrize("address", ["a", "proxy"])
def test_nothing_remains_of_connections_that_have_closed(address: str) -> None:
    limited = table(connections=3, reserve=1, per_client=2)
    for _ in range(3):
        for connection in opened(limited, 6, address):
            limited.closed(connection)
            limited.closed(connection)
    assert refused(limited, opened(limited, 2, address)) == [False, False]


def test_unsent_data_is_limited_by_closing_the_slowest_connections() -> None:
    now = 0.0
    limits = ConnectionLimits(9, 9, 0, patience=1, unsent_bytes=10, fast=5)
    limited = ConnectionTable(limits, name, lambda: now)
    connections = opened(limited, 6)
    for connection in connections:
        connection.unsent = 4
        limited.backlogged(connection)
        now += 2
    assert [one.aborted for one in connections] == [True, True, True, False, False, False]


def test_fast_clients_and_those_that_have_read_all_are_not_closed() -> None:
    now = 0.0
    limits = ConnectionLimits(9, 9, 0, patience=1, unsent_bytes=10, fast=5)
    limited = ConnectionTable(limits, name, lambda: now)
    connections = opened(limited, 6)
    for connection in connections[:5]:
        connection.unsent = 4
        limited.backlogged(connection)
    limited.drained(connections[0])
    limited.closed(connections[1])
    now = 4.9
    limited.backlogged(connections[5])
    now = 5
    connections[5].unsent = 4
    limited.backlogged(connections[5])
    assert [one.aborted for one in connections] == [False, False, True, True, False, False]
