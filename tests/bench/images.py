"""``/images/…`` as it is kept, as the client has it, and as it is drawn, in alternating rounds.

Beside requests a second it tells the CPU time of the server for each, which other programs on the
machine hardly change.
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
MANY = str(2**31)
CASES = {
    "drawn": [MANY],
    "kept": ["100"],
    "304": ["100", "If-None-Match", "*"],
}


def main() -> None:
    options = arguments()
    require_wrk()
    found: dict[str, list[tuple[float, float]]] = {case: [] for case in CASES}
    with ours(options.model, "--access-log", "false", "--cache-bytes", "1000000") as server:
        for _ in range(options.rounds):
            for case, told in CASES.items():
                found[case].append(round_of(server, options, told))
    print(f"{options.connections} connections; requests a second, and microseconds of CPU for each")
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
    parser.add_argument("--seconds", type=int, default=2, help="of a round")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    return parser.parse_args()


def round_of(server: Server, options: argparse.Namespace, told: list[str]) -> tuple[float, float]:
    """Requests a second, and the microseconds of CPU that the server took for each."""
    url = f"{server.address}/images/{options.model.parent.name}/{options.model.name}/"
    load = [f"-c{options.connections}", f"-d{options.seconds}s"]
    command = ["wrk", "-t1", *load, "-s", str(SCRIPT), url, "--", *told]
    before = cpu_seconds(server.process.pid)
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    spent = cpu_seconds(server.process.pid) - before
    found: dict[str, float] = json.loads(ended.stderr.splitlines()[-1])
    if found["failures"] or not found["requests"]:
        sys.exit(f"{url}: {found}")
    return found["requests"] / found["seconds"], 1e6 * spent / found["requests"]


def cpu_seconds(process: int) -> float:
    """What a process has had of the CPUs so far (Linux, ``/proc/<pid>/stat``)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
