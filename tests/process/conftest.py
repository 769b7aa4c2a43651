import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

Server = tuple["subprocess.Popen[str]", str]


@pytest.fixture
def serve(root: Path) -> Callable[..., AbstractContextManager[Server]]:
    """Start a server with flags; gives the process and its address once it listens."""

    @contextmanager
    def started(*flags: str) -> Iterator[Server]:
        command = [sys.executable, "-m", "app", "--port", "0", *flags]
        process = subprocess.Popen(
            command, cwd=root, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            assert process.stderr
            lines = iter(process.stderr.readline, "")
            address = next(m[0] for line in lines if (m := re.search(r"http://\S+", line)))
            yield process, address
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # workers too
            process.communicate()

    return started


@pytest.fixture(scope="session", autouse=True)
def _on_a_thread() -> Iterator[None]:
    """No batch is computed on the event loop, which a test that holds the engine would hold up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.registry.loader.INLINE_SECONDS", 0.0)
        yield
