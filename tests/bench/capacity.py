"""How many machines so many images a second take, as the README's table.

    python -m tests.bench.capacity

From ``RESULTS.md``: ``python -m tests.bench.http`` found so many requests a second of n images on
``CORES`` cores. A machine of ``MACHINE`` cores is filled to ``FILLED``, so that it has room for a
peak and for a neighbour that is lost:

    machines = ⌈images a second / (requests a second · n / CORES · MACHINE · FILLED)⌉
"""

import math
import re
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
CORES, MACHINE, FILLED = 2, 16, 0.7
WANTED = (1_000, 10_000, 1_000_000)


def requests(results: str, n: int) -> float:
    """Requests a second of n images from 16 connections: ours, in the first row that tells."""
    found = re.search(rf"^\|[^|]+\| {n} \| 16 \| ([\d,]+) \(", results, re.MULTILINE)
    if not found:
        raise ValueError(f"RESULTS.md tells nothing of n={n} from 16 connections")
    return float(found[1].replace(",", ""))


def machines(wanted: float, requests_a_second: float, n: int) -> int:
    """Machines for ``wanted`` images a second in requests of n."""
    one = requests_a_second * n / CORES * MACHINE * FILLED
    return math.ceil(wanted / one)


def table(results: str) -> str:
    """The README's table, in Markdown."""
    lines = [
        f"| images a second | n=16, machines of {MACHINE} cores | n=1 |",
        "| --- | --- | --- |",
    ]
    for wanted in WANTED:
        cells = (f"{machines(wanted, requests(results, n), n):,}" for n in (16, 1))
        lines.append(f"| {wanted:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(RESULTS.read_text()))
