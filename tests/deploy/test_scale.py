"""The profile ``scale``: several servers behind a load balancer."""

import httpx
import pytest

from app.errors import MEDIA_TYPE, Problem
from tests.deploy.containers import (
    PORTS,
    Project,
    available,
    docker,
    kill,
    stand_in,
    state,
)


@pytest.fixture(scope="module")
def three(up: Project) -> Project:
    """The server, then three more beside it, all behind the load balancer."""
    if not available(up.images()["balancer"]):
        up.environment["HAPROXY_IMAGE"] = stand_in("HAPROXY_IMAGE")
    up.call("docker compose up", "--detach", "--wait")
    up.call("docker compose --profile scale up --scale app=3", "--detach", "--wait")
    return up


def request_count(container: str) -> int:
    """Return the number of requests for images in a server's log."""
    return docker("logs", container).count("POST /generate")


def test_every_server_receives_requests(three: Project) -> None:
    with three.load("http://balancer:8080") as load:
        pass
    found = load.end()
    assert found["answered"] >= 8
    assert "failed" not in found, found
    assert len(three.containers("app")) == 3
    for container in three.containers("app") + three.containers("server"):
        assert state(container)["State"]["Health"]["Status"] == "healthy"
        assert request_count(container)
    port = three.environment.get("BALANCER_PORT", PORTS["BALANCER_PORT"])
    assert httpx.get(f"http://localhost:{port}/health/ready", timeout=60).status_code == 200


def test_scaling_does_not_restart_the_first_server(three: Project) -> None:
    (first,) = three.containers("server")
    others = [state(container)["Created"] for container in three.containers("app")]
    assert state(first)["State"]["StartedAt"] < min(others)


def test_killing_a_server_under_load_fails_no_request(three: Project) -> None:
    first, *others = three.containers("app")
    with three.load("http://balancer:8080", "8", "3") as load:
        before = [request_count(container) for container in others]
        kill(first)
        three.compose("up", "--detach", "--wait", "--scale", "app=3", "--no-recreate", "app")
    found = load.end()
    assert found["answered"] > 8
    assert not found.keys() & {"failed", "refused", "busy"}, found
    assert all(map(int.__gt__, map(request_count, others), before))


def test_stopping_a_server_under_load_fails_no_request(three: Project) -> None:
    first, *_ = three.containers("app")
    with three.load("http://balancer:8080", "8", "3") as load:
        docker("stop", "--time", "60", first)
    found = load.end()
    assert found["answered"] > 8
    assert not found.keys() & {"failed", "refused", "busy"}, found


def test_haproxy_accepts_its_configuration(three: Project) -> None:
    check = ("haproxy", "-c", "-V", "-f", "/etc/haproxy/haproxy.cfg")
    assert "Configuration file is valid" in three.compose("exec", "-T", "balancer", *check)


def test_a_balancer_without_servers_answers_503_and_is_not_healthy(three: Project) -> None:
    (balancer,) = three.containers("balancer")
    assert state(balancer)["State"]["Health"]["Status"] == "healthy"
    three.compose("stop", "server", "app")
    answer = httpx.get(three.address("balancer", 8080) + "/grid?rows=1", timeout=60)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    problem = Problem.model_validate(answer.json())
    assert (problem.status, problem.instance) == (503, "/grid")
    _, *check = state(balancer)["Config"]["Healthcheck"]["Test"]
    with pytest.raises(AssertionError):
        docker("exec", balancer, *check)
