"""A server in a process of its own."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.serving import end_group, serving, workers_in
from tests.waiting import until_loaded

Server = tuple["subprocess.Popen[str]", str]


@pytest.fixture(scope="module", autouse=True)
def _fast_start(_no_trials: None) -> None:
    """Servers load versions without a trial. Modules about loading replace this fixture."""


@pytest.fixture(scope="session")
def plain_address(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server without flags but its provider, which tests do not change."""
    command = [sys.executable, "-m", "app", "--provider", "cpu"]
    with serving(command, root, tmp_path_factory.mktemp("plain") / "log") as address:
        yield address


@pytest.fixture
def serve(root: Path) -> Callable[..., AbstractContextManager[Server]]:
    """Starts a server with flags; gives its process and address once its models are loaded."""

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
            until_loaded(address, workers_in(flags))
            yield process, address
        finally:
            end_group(process)
            process.stderr.close()

    return started
