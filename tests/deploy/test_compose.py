"""`docker compose up`, seen from outside the container."""

import json

import httpx

from tests.deploy.containers import PORTS, Project, await_healthy, kill, state
from tests.waiting import eventually


def test_it_is_healthy_and_generates_sixteen_images(up: Project) -> None:
    (container,) = up.containers("server")
    assert state(container)["State"]["Health"]["Status"] == "healthy"
    port = up.environment.get("PORT", PORTS["PORT"])
    answer = httpx.post(f"http://localhost:{port}/generate?n=16", timeout=60)
    assert len(answer.json()["images"]) == 16


def test_it_runs_without_privileges_and_writes_only_to_tmp(up: Project) -> None:
    program = """
import os, pathlib
print(os.getuid(), os.getgid(), open("/proc/self/status").read().split("CapEff:")[1].split()[0])
for folder in ("/", "/srv", "/venv", "/srv/models", "/tmp"):
    try:
        (pathlib.Path(folder) / "file").write_text("")
        print(folder)
    except OSError as error:
        print(error.errno)
tmp = os.statvfs("/tmp")
print(tmp.f_blocks * tmp.f_frsize // 2**20)
"""
    printed = up.compose("exec", "-T", "server", "python", "-c", program).split()
    assert printed == ["10001", "10001", "0" * 16, "30", "30", "30", "30", "/tmp", "64"]  # noqa: S108


def test_it_restarts_after_a_kill(up: Project) -> None:
    (container,) = up.containers("server")
    before = state(container)["RestartCount"]
    kill(container)
    eventually(lambda: state(container)["RestartCount"] != before)
    await_healthy(container)
    assert up.address("server", 8000).endswith(f":{up.environment.get('PORT', PORTS['PORT'])}")
    assert httpx.post(up.address("server", 8000) + "/generate?n=1", timeout=60).status_code == 200


def test_a_stop_under_load_fails_no_request(up: Project) -> None:
    (container,) = up.containers("server")
    with up.load("http://server:8000") as load:
        up.compose("stop", "server")
    found = load.end()
    assert found["answered"] > 8
    assert "failed" not in found, json.dumps(found)
    ended = state(container)["State"]
    assert (ended["ExitCode"], ended["OOMKilled"]) == (0, False)
