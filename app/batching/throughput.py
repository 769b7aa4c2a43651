"""How fast rows are computed, as measured, and how long more of them will take."""

# Weight of the newest batch in the measured speed: a memory of about ten batches.
_NEWEST = 0.1


class Throughput:
    """An exponential average of the rows that are computed in a second."""

    def __init__(self) -> None:
        self._rows_a_second = 0.0

    def measure(self, rows: int, seconds: float) -> None:
        """Learn that a batch of ``rows`` took ``seconds``."""
        speed = rows / max(seconds, 1e-9)
        known = self._rows_a_second or speed
        self._rows_a_second = (1 - _NEWEST) * known + _NEWEST * speed

    def seconds(self, rows: int) -> float:
        """How long ``rows`` more take; one second as long as nothing was measured."""
        return rows / self._rows_a_second if self._rows_a_second else 1.0
