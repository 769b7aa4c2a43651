"""``/images/…``: generated, from the cache, and as 304, in alternating rounds.

Beside requests per second it prints the server's CPU time per request, which depends little on the
load of the machine.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from tests.bench.serving import Server, ours, require_wrk

SCRIPT = Path(__file__).with_name("images.lua")
MANY_SEEDS = str(2**31)
CASES = {
    "generated": [MANY_SEEDS],
    "cached": ["100"],
    "304": ["100", "If-None-Match", "*"],
}


def main() -> None:
    options = arguments()
    require_wrk()
    found: dict[str, list[tuple[float, float]]] = {case: [] for case in CASES}
    with ours(options.model, "--access-log", "false", "--cache-bytes", "1000000") as server:
        for _ in range(options.rounds):
            for case, words in CASES.items():
                found[case].append(round_of(server, options, words))
    print(f"{options.connections} connections; requests/s, and microseconds of CPU per request")
    result = {}
    for case, rounds in found.items():
        rate, cpu = (median(numbers) for numbers in zip(*rounds, strict=True))
        result[case] = {"requests_per_second": rate, "cpu_microseconds": cpu}
        print(f"{case:>8}{rate:>10.0f}{cpu:>8.0f}")
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/fashion-mnist/2"))
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="seconds of a round")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    return parser.parse_args()


def round_of(server: Server, options: argparse.Namespace, words: list[str]) -> tuple[float, float]:
    """Requests per second, and the server's CPU time per request in microseconds."""
    url = f"{server.address}/images/{options.model.parent.name}/{options.model.name}/"
    load = [f"-c{options.connections}", f"-d{options.seconds}s"]
    command = ["wrk", "-t1", *load, "-s", str(SCRIPT), url, "--", *words]
    before = cpu_seconds(server.process.pid)
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    spent = cpu_seconds(server.process.pid) - before
    found: dict[str, float] = json.loads(ended.stderr.splitlines()[-1])
    if found["failures"] or not found["requests"]:
        sys.exit(f"{url}: {found}")
    return found["requests"] / found["seconds"], 1e6 * spent / found["requests"]


def cpu_seconds(process: int) -> float:
    """CPU time of a process in seconds (Linux, ``/proc/<pid>/stat``)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
