"""Profile ``scale``: servers behind one door."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.containers import Project, docker, killed, project, stand_in, there


@pytest.fixture(scope="module")
def three(image: str, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Three servers behind the load balancer."""
    assert image
    with project(root, tmp_path_factory.mktemp("scale"), profiles=["scale"]) as scaled:
        if not there(scaled.images()["balancer"]):
            scaled.environment["HAPROXY_IMAGE"] = stand_in("HAPROXY_IMAGE")
        scaled.compose("up", "-d", "--wait", "--scale", "app=3", "app", "balancer")
        yield scaled


def drawn(container: str) -> int:
    """How many pictures a server says it has drawn."""
    return docker("logs", container).count("POST /generate")


def test_all_three_are_asked(three: Project) -> None:
    with three.load("http://balancer:8080") as load:
        pass
    found = load.end()
    assert found["answered"] >= 8
    assert "failed" not in found, found
    assert len(three.containers("app")) == 3
    assert all(drawn(container) for container in three.containers("app"))
    assert httpx.get(three.address("balancer", 8080) + "/health/ready").status_code == 200


def test_one_that_is_killed_under_load_is_missed_by_nobody(three: Project) -> None:
    first, *others = three.containers("app")
    with three.load("http://balancer:8080", "8", "3") as load:
        before = [drawn(container) for container in others]
        killed(first)
        three.compose("up", "-d", "--wait", "--scale", "app=3", "--no-recreate", "app")
    found = load.end()
    assert found["answered"] > 8
    assert not found.keys() & {"failed", "refused", "busy"}, found
    assert all(map(int.__gt__, map(drawn, others), before))


def test_one_that_is_stopped_under_load_is_missed_by_nobody(three: Project) -> None:
    first, *_ = three.containers("app")
    with three.load("http://balancer:8080", "8", "3") as load:
        docker("stop", "--time", "60", first)
    found = load.end()
    assert found["answered"] > 8
    assert not found.keys() & {"failed", "refused", "busy"}, found


def test_the_configuration_is_one_that_haproxy_takes(three: Project) -> None:
    three.compose("exec", "-T", "balancer", "haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg")
