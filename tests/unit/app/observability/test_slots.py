"""Numbers of processes: each has one, and whoever comes after takes it over."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.observability import slots

_PROGRAM = """
import sys
from pathlib import Path
from app.observability import slots
print(slots.take(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@contextmanager
def taking(root: Path, folder: Path) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """A process that takes a number and keeps it."""
    command = [sys.executable, "-c", _PROGRAM, str(folder)]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


def test_a_number_is_taken_over_once_its_process_is_killed(root: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(taking(root, tmp_path)) for _ in range(3)]
        assert [slot for slot, _ in held] == [0, 1, 2]
        pids = {slot: process.pid for slot, process in held}
        assert dict(slots.taken(tmp_path)) == pids
        held[1][1].kill()
        held[1][1].wait()
        assert dict(slots.taken(tmp_path)) == {0: pids[0], 2: pids[2]}
        slot, process = stack.enter_context(taking(root, tmp_path))
        assert slot == 1
        assert dict(slots.taken(tmp_path)) == {**pids, 1: process.pid}


def test_nobody_has_taken_any_at_first(tmp_path: Path) -> None:
    assert list(slots.taken(tmp_path)) == []
