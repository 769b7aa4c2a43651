"""Starts a real server in a process of its own."""

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import PATIENCE, until_loaded


@contextmanager
def serving(command: Sequence[str], root: Path, log: Path, port: int = 0) -> Iterator[str]:
    """Start a server in the folder ``root``; gives its address once it has loaded its models."""
    with log.open("w") as file:
        process = subprocess.Popen([*command, "--port", str(port)], cwd=root, stderr=file)
        try:
            while not (found := re.search(r"http://\S+", log.read_text())):
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            until_loaded(found[0])
            yield found[0]
        finally:
            process.terminate()
            process.wait(PATIENCE)
