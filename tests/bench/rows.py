"""The table of a benchmark of many parts: a figure per row, or the reason why there is none."""

import json
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    part: str
    what: str
    value: float | None
    unit: str = ""
    note: str = ""


class NotRunError(Exception):
    """A part cannot run here; the text says why."""


class Table:
    """Prints and stores rows as they are measured."""

    def __init__(self, deadline: float) -> None:
        """No part starts that would end after ``deadline``, in seconds of ``time.monotonic``."""
        self.rows: list[Row] = []
        self._deadline = deadline

    def part(self, name: str, seconds: float, measure: Callable[[], Iterable[Row]]) -> None:
        """Add the rows of ``measure``, which takes about ``seconds``, or why it failed."""
        left = self._deadline - time.monotonic()
        if left < seconds:
            self._add(Row(name, "not run", None, note=f"only {left:.0f} s were left"))
            return
        try:
            for row in measure():
                self._add(row)
        except NotRunError as error:
            self._add(Row(name, "not run", None, note=str(error)))
        except Exception as error:  # noqa: BLE001 the other parts must still run
            traceback.print_exc()
            note = f"{type(error).__name__}: {error}".partition("\n")[0]
            self._add(Row(name, "not run", None, note=note))

    def write(self, path: Path, facts: dict[str, str]) -> None:
        """Write the rows, and ``facts`` about the environment, as JSON."""
        found = {"facts": facts, "rows": [asdict(row) for row in self.rows]}
        path.write_text(json.dumps(found, indent=2) + "\n")

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        value = "-" if row.value is None else f"{row.value:,.4g}" if row.value < 1000 else ""
        value = value or f"{row.value:,.0f}"
        print(f"{row.part:26}{row.what:34}{value:>14} {row.unit:12}{row.note}", flush=True)
