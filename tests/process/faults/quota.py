"""Half a core and 300 MB: the server starts, serves, and has few threads.

    python -m tests.process.faults.quota [--seconds 20]

A control group per resource (cgroups v1, writable by root) limits a server and its threads.
"""

import argparse
import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.process.faults.figures import keep
from tests.process.faults.overload import saturate
from tests.process.faults.server import Server, family, started

CGROUPS = Path("/sys/fs/cgroup")
CPU, MEMORY = "cpu.cfs_quota_us", "memory.limit_in_bytes"


@contextmanager
def group(controller: str, limit: str, value: int) -> Iterator[Path]:
    """Create a control group inside this process's own, with one limit. Raises OSError."""
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
def limited(cpus: float, memory: int, *flags: str) -> Iterator[tuple[Server, Path]]:
    """Start a server with these limits; gives it and the control group of its memory."""
    with ExitStack() as stack:
        cpu = stack.enter_context(group("cpu", CPU, int(100_000 * cpus)))
        memory_group = stack.enter_context(group("memory", MEMORY, memory))

        def enter() -> None:
            for folder in (cpu, memory_group):
                (folder / "cgroup.procs").write_text(str(os.getpid()))

        yield stack.enter_context(started(*flags, preexec_fn=enter)), memory_group


def threads(server: Server) -> int:
    """The number of threads of the server and its workers."""
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in family(server.process.pid))


def main() -> None:
    """Measure, and write the figures into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    with started() as server:
        asyncio.run(saturate(server, 1, 16))
        unlimited = threads(server)
    with limited(0.5, 300 * 10**6) as (server, memory_group):
        found = asyncio.run(saturate(server, options.seconds, 16))
        count = threads(server)
        peak = int((memory_group / "memory.max_usage_in_bytes").read_text())
    assert found.statuses.keys() == {200}
    text = (
        f"`python -m tests.process.faults.quota`, in control groups of cgroups v1: {count} threads,"
    )
    text += (
        f" {unlimited} without limits; {found.rate:.0f} images/s in requests for 16, none failed;"
    )
    text += (
        f" {found.busy:.1f} s of CPU in {found.seconds:.1f} s; memory at most {peak / 1e6:.0f} MB."
    )
    keep("Half a core and 300 MB", text)


if __name__ == "__main__":
    main()
