"""How many machines serve a given number of images per second, as a table.

    python -m tests.bench.capacity

``RESULTS.md`` has the requests per second of n images that ``python -m tests.bench.http`` measured
on ``CORES`` cores. A machine of ``MACHINE`` cores is loaded up to ``FILLED``, which leaves room for
peaks and for the load of a machine that fails:

    machines = ⌈images per second / (requests per second · n / CORES · MACHINE · FILLED)⌉
"""

import math
import re
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
CORES, MACHINE, FILLED = 2, 16, 0.7
WANTED = (1_000, 10_000, 1_000_000)


def requests(results: str, n: int) -> float:
    """Our requests per second of n images from 16 connections. Raises ValueError without them."""
    found = re.search(rf"^\|[^|]+\| {n} \| 16 \| ([\d,]+) \(", results, re.MULTILINE)
    if not found:
        raise ValueError(f"RESULTS.md has no row for n={n} and 16 connections")
    return float(found[1].replace(",", ""))


def machines(wanted: float, requests_per_second: float, n: int) -> int:
    """Machines for ``wanted`` images per second in requests of n."""
    one = requests_per_second * n / CORES * MACHINE * FILLED
    return math.ceil(wanted / one)


def table(results: str) -> str:
    """The table in Markdown."""
    lines = [
        f"| images per second | n=16, machines of {MACHINE} cores | n=1 |",
        "| --- | --- | --- |",
    ]
    for wanted in WANTED:
        cells = (f"{machines(wanted, requests(results, n), n):,}" for n in (16, 1))
        lines.append(f"| {wanted:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(RESULTS.read_text()))
