"""Half a core and 300 MB: it starts, serves, and has no more threads than that is good for.

    python -m tests.process.faults.quota [--seconds 20]

A control group of each kind (cgroups v1, writable by root) bounds a server and its threads.
"""

import argparse
import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.process.faults.figures import keep
from tests.process.faults.overload import saturated
from tests.process.faults.server import Server, family, started

CGROUPS = Path("/sys/fs/cgroup")
CPU, MEMORY = "cpu.cfs_quota_us", "memory.limit_in_bytes"


@contextmanager
def group(controller: str, limit: str, value: int) -> Iterator[Path]:
    """A control group inside of this process's own, with one limit. Raises OSError without."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = next(
        (path for _, kind, path in (line.split(":", 2) for line in lines) if kind == controller),
        None,
    )
    if own is None:
        raise FileNotFoundError(f"no control group of cgroups v1 for {controller}")
    folder = CGROUPS / controller / own.strip("/") / f"dcgan-test-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / limit).write_text(str(value))
        yield folder
    finally:
        folder.rmdir()


@contextmanager
def bounded(cpus: float, memory: int, *flags: str) -> Iterator[tuple[Server, Path]]:
    """A server in such bounds, and the control group of its memory."""
    with ExitStack() as stack:
        cpu = stack.enter_context(group("cpu", CPU, int(100_000 * cpus)))
        room = stack.enter_context(group("memory", MEMORY, memory))

        def enter() -> None:
            for folder in (cpu, room):
                (folder / "cgroup.procs").write_text(str(os.getpid()))

        yield stack.enter_context(started(*flags, preexec_fn=enter)), room


def threads(server: Server) -> int:
    """How many it has."""
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in family(server.process.pid))


def main() -> None:
    """The figures, into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    told = parser.parse_args()
    with started() as server:
        asyncio.run(saturated(server, 1, 16))
        free = threads(server)
    with bounded(0.5, 300 * 10**6) as (server, room):
        found = asyncio.run(saturated(server, told.seconds, 16))
        mine = threads(server)
        peak = int((room / "memory.max_usage_in_bytes").read_text())
    assert found.statuses.keys() == {200}
    text = (
        f"`python -m tests.process.faults.quota`, in control groups of cgroups v1: {mine} threads,"
    )
    text += f" {free} without limits; {found.rate:.0f} images/s in requests for 16, none failed;"
    text += (
        f" {found.busy:.1f} s of CPU in {found.seconds:.1f} s; memory at most {peak / 1e6:.0f} MB."
    )
    keep("Half a core and 300 MB", text)


if __name__ == "__main__":
    main()
