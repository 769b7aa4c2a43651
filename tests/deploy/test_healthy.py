"""What a container is asked for its health."""

import os
import subprocess
import sys
from pathlib import Path

from tests.bench.serving import free_port
from tests.serving import serving


def ended(root: Path, port: str) -> int:
    command = [sys.executable, "-m", "app.deploy.healthy"]
    told = {**os.environ, "DCGAN_PORT": port}
    return subprocess.run(command, cwd=root, check=False, env=told).returncode


def test_a_server_is_healthy_with_a_model_and_else_not(root: Path, tmp_path: Path) -> None:
    for models, wrong in ((root / "models", 0), (tmp_path / "none", 1)):
        command = [sys.executable, "-m", "app", "--provider", "cpu", "--models", str(models)]
        with serving(command, root, tmp_path / "log") as address:
            assert ended(root, address.rpartition(":")[2]) == wrong


def test_where_nobody_listens_nobody_is_healthy(root: Path) -> None:
    assert ended(root, str(free_port())) == 1
