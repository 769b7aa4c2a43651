"""Servers in processes of their own, with versions that would hang or end them."""

import signal
from pathlib import Path

import httpx
import pytest

from tests import hostile
from tests.process.faults.server import family, started
from tests.versions import publish
from tests.waiting import PATIENCE, eventually

KEY = "administrators-key"
BROKEN = "tests.process.faults.broken"


@pytest.fixture(scope="module")
def _no_trials() -> None:
    """Replaces the fixture that disables trials."""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish(tmp_path / "models", "cats", 1)
    return tmp_path / "models"


def test_a_server_with_an_endless_version_listens_serves_and_ends(models: Path) -> None:
    publish(models, "endless", 1, hostile.endless("endless", 1))
    flags = ("--models", str(models), "--provider", "cpu", "--default-model", "cats")
    flags += ("--load-timeout", "600")  # longer than anything here takes
    with started(*flags, wait=False) as server:
        address = f"http://127.0.0.1:{server.port}"
        eventually(lambda: httpx.get(f"{address}/health/ready", timeout=PATIENCE).is_success)
        assert httpx.get(f"{address}/health/ready", timeout=PATIENCE).json()["loading"] == [
            "endless/1"
        ]
        assert (
            httpx.post(f"{address}/generate?n=1", timeout=PATIENCE).headers["X-Model"] == "cats/1"
        )
        processes = family(server.process.pid)
        assert len(processes) > 1
        server.process.send_signal(signal.SIGTERM)
        assert server.ends() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


def test_a_version_that_ended_its_process_twice_is_left_out_until_it_is_loaded(
    models: Path, tmp_path: Path
) -> None:
    publish(models, "dogs", 1)
    broken = tmp_path / "broken"
    broken.mkdir()
    flags = ("--models", str(models), "--provider", "cpu", "--default-model", "dogs")
    flags += ("--stalled", "0.5", "--state-folder", str(tmp_path / "state"), "--admin-keys", KEY)
    for _ in range(2):
        with started(*flags, program=(BROKEN, str(broken))) as server:
            (broken / "stall").touch()
            with pytest.raises(httpx.HTTPError):
                httpx.post(
                    f"http://127.0.0.1:{server.port}/generate?n=1&model=cats", timeout=PATIENCE
                )
            assert server.ends() == 70
            (broken / "stall").unlink()
    with started(*flags, program=(BROKEN, str(broken))) as server:
        client = httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=PATIENCE)
        (refused,) = client.get("/models").json()["refused"]
        assert refused["folder"] == "cats/1"
        assert "it ended a process 2 times" in refused["reason"]
        eventually(lambda: refused["reason"] in server.output)
        assert client.post("/generate?n=1").headers["X-Model"] == "dogs/1"
        path = "/v2/repository/models/cats/load"
        assert client.post(path, headers={"X-API-Key": KEY}).is_success
        assert client.post("/generate?n=1&model=cats").is_success
        client.close()
