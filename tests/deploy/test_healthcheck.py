"""The health check of the container image, against real servers."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from threading import Thread

from app.deploy.healthcheck import is_ready
from tests.bench.serving import free_port
from tests.serving import serving
from tests.waiting import eventually


def exit_status(root: Path, port: str) -> int:
    command = [sys.executable, "-m", "app.deploy.healthcheck"]
    environment = {**os.environ, "DCGAN_PORT": port}
    return subprocess.run(command, cwd=root, check=False, env=environment).returncode


def test_a_server_is_healthy_only_with_a_model(root: Path, tmp_path: Path) -> None:
    for models, status in ((root / "models", 0), (tmp_path / "none", 1)):
        command = [sys.executable, "-m", "app", "--provider", "cpu", "--models", str(models)]
        with serving(command, root, tmp_path / "log") as address:
            port = address.rpartition(":")[2]
            eventually(lambda port=port, status=status: exit_status(root, port) == status)


def test_a_port_without_a_server_is_not_healthy(root: Path) -> None:
    assert exit_status(root, str(free_port())) == 1


def test_a_server_may_be_at_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    assert not is_ready(0, path)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health/ready" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

        def address_string(self) -> str:
            return "unix"

    with UnixStreamServer(path, Answer) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        assert is_ready(0, path)
        thread.join()
