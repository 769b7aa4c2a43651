"""CPU time of the server per request, compared with an empty FastAPI route on uvicorn.

    python -m tests.bench.requests [--connections 16] [--rounds 9] [--out result.json]

The servers take turns; both figures are medians over the rounds. The CPU time is that of the whole
process, all threads together. The requests marked "no engine" are sent to a server whose engine
copies one image, so that the rest of the request is left: HTTP, parameters, latents, queue, PNG.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from operator import truediv
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.bench.processors import description
from tests.bench.serving import Server, Target, await_answer, free_port, ours, require_wrk, running

SCRIPT = Path(__file__).with_name("requests.lua")
EMPTY = Path(__file__).with_name("servers") / "empty.py"
COPIES = "tests.bench.servers.without_engine"


@dataclass(frozen=True)
class Case:
    """A request, and the server that it is sent to."""

    server: str
    path: str
    """Ends in a slash for images of a hundred seeds, see ``requests.lua``."""
    words: tuple[str, ...] = ("GET",)
    """Method and headers."""


PNG = ("POST", "Accept", "image/png")
CASES = {
    "empty FastAPI route": Case("empty", "/empty"),
    "GET /health/live": Case("ours", "/health/live"),
    "GET /health/ready": Case("ours", "/health/ready"),
    "GET /images/…, cached": Case("ours", "/images/{model}/"),
    "GET /images/…, 304": Case("ours", "/images/{model}/", ("GET", "If-None-Match", "*")),
    "POST /generate?n=1, no engine": Case("copies", "/generate?n=1", PNG),
    "POST /generate?n=16, no engine": Case("copies", "/generate?n=16", PNG),
    "POST /generate?n=1": Case("ours", "/generate?n=1", PNG),
}


def main() -> None:
    options = arguments()
    require_wrk()
    print(description())
    spent: dict[str, list[float]] = {name: [] for name in CASES}
    with servers(options) as found:
        for name in CASES:  # warms up
            microseconds(name, found, options)
        for _ in range(options.rounds):
            for name, measured in spent.items():
                measured.append(microseconds(name, found, options))
    result = {name: median(measured) for name, measured in spent.items()}
    unit = next(iter(spent.values()))
    print(f"{options.connections} connections; CPU in microseconds per request, and ratio")
    for name, cpu in result.items():
        # Of each round: the speed of a machine changes more from round to round than within one.
        ratio = median(map(truediv, spent[name], unit))
        print(f"{name:>32}{cpu:>8.0f}{ratio:>7.2f}")
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/fashion-mnist/2"))
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=1, help="seconds of a round")
    parser.add_argument("--flags", default="", help="flags of our server: --flags='--rate 1000'")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    return parser.parse_args()


@contextmanager
def servers(options: argparse.Namespace) -> Iterator[dict[str, Server]]:
    """The running servers by name."""
    flags = ["--access-log", "false", *options.flags.split()]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        port = str(free_port())
        command = [sys.executable, str(EMPTY), port]
        process = stack.enter_context(running(command, folder / "log"))
        empty = Server(process, f"http://127.0.0.1:{port}")
        await_answer(empty, Target(f"{empty.address}/empty", method="GET"), folder / "log")
        yield {
            "empty": empty,
            "ours": stack.enter_context(ours(options.model, *flags)),
            "copies": stack.enter_context(ours(options.model, *flags, program=COPIES)),
        }


def microseconds(name: str, found: dict[str, Server], options: argparse.Namespace) -> float:
    """CPU time of the server per request, in one round of requests."""
    case = CASES[name]
    server = found[case.server]
    model = f"{options.model.parent.name}/{options.model.name}"
    url = server.address + case.path.format(model=model)
    load = [f"-c{options.connections}", f"-d{options.seconds}s"]
    command = ["wrk", "-t1", *load, "-s", str(SCRIPT), url, "--", *case.words]
    before = cpu_seconds(server.process.pid)
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    spent = cpu_seconds(server.process.pid) - before
    counted: dict[str, float] = json.loads(ended.stderr.splitlines()[-1])
    if counted["failures"] or not counted["requests"]:
        sys.exit(f"{url}: {counted}")
    return 1e6 * spent / counted["requests"]


def cpu_seconds(process: int) -> float:
    """CPU time of a process in seconds (Linux, ``/proc/<pid>/stat``)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
