"""Slots of worker processes: every worker has one, and a successor takes over a free one."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.observability.multiprocess import taken_slots

_PROGRAM = """
import sys
from pathlib import Path
from app.observability.multiprocess import take_slot
print(take_slot(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@contextmanager
def worker(root: Path, folder: Path) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """A process that takes a slot and keeps it; yields the slot and the process."""
    command = [sys.executable, "-c", _PROGRAM, str(folder)]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


def test_the_slot_of_a_killed_process_is_taken_over(root: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(root, tmp_path)) for _ in range(3)]
        assert [slot for slot, _ in workers] == [0, 1, 2]
        pids = {slot: process.pid for slot, process in workers}
        assert dict(taken_slots(tmp_path)) == pids
        workers[1][1].kill()
        workers[1][1].wait()
        assert dict(taken_slots(tmp_path)) == {0: pids[0], 2: pids[2]}
        slot, process = stack.enter_context(worker(root, tmp_path))
        assert slot == 1
        assert dict(taken_slots(tmp_path)) == {**pids, 1: process.pid}


def test_an_empty_folder_has_no_taken_slots(tmp_path: Path) -> None:
    assert list(taken_slots(tmp_path)) == []
