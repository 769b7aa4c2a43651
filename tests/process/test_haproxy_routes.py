"""What HAProxy refuses and repeats, by its real configuration in front of a real server."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.bench.serving import free_port
from tests.process.faults.server import Server, started
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")

KEY = "administrators-key"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started("--admin-keys", KEY, "--root-path", "/art") as server:
        yield server


@pytest.fixture(scope="module")
def balancer(server: Server, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a load balancer with the server behind it."""
    port = free_port()
    text = (root / "app" / "deploy" / "haproxy.cfg").read_text()
    text = re.sub(r"resolvers docker\n(    .*\n)+", "", text)
    text = re.sub(r"server-template .*", f"server one 127.0.0.1:{server.port}", text)
    text = text.replace("bind :8080", f"bind 127.0.0.1:{port}")
    file = tmp_path_factory.mktemp("haproxy") / "haproxy.cfg"
    file.write_text(text)
    process = subprocess.Popen(["haproxy", "-db", "-f", str(file)])
    try:
        eventually(lambda: status(port, "/health/ready") == 200)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def status(port: int, path: str, method: str = "GET") -> int:
    """The status of the response; 0 if nothing listens yet."""
    try:
        url = httpx.URL("http://127.0.0.1", port=port, raw_path=path.encode())
        return httpx.request(method, url, headers={"X-API-Key": KEY}, timeout=PATIENCE).status_code
    except httpx.TransportError:
        return 0


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/m%65trics",
        "/metrics?a=b",
        "/art/metrics",
        "/art/v2/repository/models/faces/unload",
        "/v2/repository/models/faces/load",
        "/v2/repository/models/faces/unload",
        "/v2/rep%6Fsitory/models/faces/unload",
        "/v2/repository%2Fmodels/faces/unload",
    ],
)
def test_administration_and_metrics_are_not_available(
    server: Server, balancer: int, path: str
) -> None:
    method = "POST" if "repository" in path else "GET"
    assert status(balancer, path, method) == 403
    assert "faces" in httpx.get(f"http://127.0.0.1:{server.port}/models", timeout=PATIENCE).text


def test_everything_else_is(balancer: int) -> None:
    assert status(balancer, "/v2/repository/index", "POST") == 200
    assert status(balancer, "/generate?n=1", "POST") == 200
    assert status(balancer, "/images/fashion-mnist/3/7.png") == 200
    assert status(balancer, "/art/images/fashion-mnist/3/7.png") == 200
    assert status(balancer, "/models/metrics") == 404


def test_a_request_that_may_have_ended_a_server_is_not_repeated(root: Path) -> None:
    text = (root / "app" / "deploy" / "haproxy.cfg").read_text()
    (conditions,) = re.findall(r"^ *retry-on (.*)", text, re.MULTILINE)
    assert set(conditions.split()) == {"conn-failure", "503"}
