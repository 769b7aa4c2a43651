"""Hot reload of servers in processes of their own: by a signal, and in every worker."""

import os
import signal
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.versions import publish
from tests.waiting import PATIENCE, eventually, until_loaded

KEY = "administrators-key"
ADMINISTRATOR = {"X-API-Key": KEY}


@pytest.fixture(scope="module")
def _no_trials() -> None:
    """Replaces the fixture that disables trials: one worker tries a version for all."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A models folder with version 1 of two models."""
    publish(tmp_path, "cats", 1)
    publish(tmp_path, "dogs", 1)
    return tmp_path


def test_sighup_loads_new_versions(serve: Callable[..., Any], folder: Path) -> None:
    with serve("--models", str(folder), "--default-model", "cats") as (process, address):
        assert httpx.get(f"{address}/images/cats/2/0.png", timeout=PATIENCE).status_code == 404
        publish(folder, "cats", 2)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: httpx.get(f"{address}/images/cats/2/0.png", timeout=PATIENCE).is_success)
        assert process.poll() is None


def test_loads_and_unloads_reach_every_worker(serve: Callable[..., Any], folder: Path) -> None:
    def statuses(path: str) -> set[int]:
        """Statuses over new connections, which reach all workers."""
        return {status(address, path) for _ in range(24)}

    flags = ("--models", str(folder), "--default-model", "cats", "--workers", "2")
    with serve(*flags, "--admin-keys", KEY) as (process, address):
        assert statuses("/v2/models/dogs/ready") == {200}
        model = f"{address}/v2/repository/models/dogs"
        assert httpx.post(f"{model}/unload", headers=ADMINISTRATOR, timeout=PATIENCE).is_success
        assert statuses("/v2/models/dogs/ready") == {404}
        assert httpx.post(f"{model}/load", headers=ADMINISTRATOR, timeout=PATIENCE).is_success
        assert statuses("/v2/models/dogs/ready") == {200}
        assert httpx.post(f"{model}/unload", headers=ADMINISTRATOR, timeout=PATIENCE).is_success
        publish(folder, "cats", 2)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: statuses("/v2/models/cats/versions/2/ready") == {200})
        assert statuses("/v2/models/dogs/ready") == {404}
        before = children(process.pid)
        os.kill(before[-1], signal.SIGKILL)  # the worker that replaces it knows the orders, too
        eventually(lambda: len(set(children(process.pid)) - set(before)) == 1)
        until_loaded(address, workers=2)
        assert statuses("/v2/models/cats/versions/2/ready") == {200}
        assert statuses("/v2/models/dogs/ready") == {404}
        assert httpx.post(f"{model}/load", headers=ADMINISTRATOR, timeout=PATIENCE).is_success
        assert statuses("/v2/models/dogs/ready") == {200}


def status(address: str, path: str) -> int:
    """The status of one GET over a new connection."""
    connection = HTTPConnection(address.removeprefix("http://"), timeout=PATIENCE)
    with closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status


def children(process: int) -> list[int]:
    """The process ids of its children; the last one is a worker."""
    content = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in content.split()]
