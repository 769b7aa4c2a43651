"""Seconds from the start of a server to its first image, and its memory.

Our server and the naive one are started in turn.

    python -m tests.bench.startup [--model models/fashion-mnist/2] [--rounds 7] [--requests 10000]

Memory is the resident size after ``--requests`` requests for one image each, from 16 connections.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import median

from tests.bench.http import started, target_of
from tests.bench.serving import Server, Target, answer, measured, ours, require_wrk

CONNECTIONS = 16


def main() -> None:
    options = arguments()
    require_wrk()
    programs = Path(sys.executable).parent
    sides: dict[str, Side] = {
        "ours": (partial(ours, options.model), lambda address: Target(f"{address}/generate?n=1")),
        "naive": (
            partial(started, "naive", programs, options.model),
            lambda address: target_of("naive", address, 1),
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    megabytes: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(options.rounds):
        for name, side in sides.items():
            # Memory is measured once: it hardly differs between starts.
            requests = options.requests if number == 0 else 0
            ready, memory = observed(side, requests)
            seconds[name].append(ready)
            megabytes[name] += memory
    result = {"ready_seconds": report("ready, s", seconds, 2)}
    result["resident_megabytes"] = report("resident, MB", megabytes, 0)
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


Side = tuple[Callable[[], AbstractContextManager[Server]], Callable[[str], Target]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/fashion-mnist/2"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    return parser.parse_args()


def observed(side: Side, requests: int) -> tuple[float, list[float]]:
    """Seconds to the first image, and megabytes after ``requests`` (empty for 0)."""
    start, target = side
    began = time.perf_counter()
    with start() as server:
        answer(target(server.address))
        ready = time.perf_counter() - began
        if not requests:
            return ready, []
        done = 0.0
        while done < requests:
            done += measured(target(server.address), CONNECTIONS, 1).requests_per_second
        return ready, [resident(server.process.pid)]


def resident(process: int) -> float:
    """Resident memory of a process in megabytes (Linux, ``/proc/<pid>/status``)."""
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / 1e6


def report(what: str, found: dict[str, list[float]], digits: int) -> dict[str, object]:
    medians = {name: median(values) for name, values in found.items()}
    ratio = medians["naive"] / medians["ours"]
    figures = ", ".join(f"{name} {value:.{digits}f}" for name, value in medians.items())
    print(f"{what:14}{figures}, ratio {ratio:.2f}")
    return {**medians, "ratio": ratio, "rounds": found}


if __name__ == "__main__":
    main()
