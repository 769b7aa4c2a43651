import sys
from pathlib import Path

import httpx

from tests.serving import serving
from tests.waiting import PATIENCE


def test_httpx_decompresses_texts_and_sends_head(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app", "--provider", "cpu"]
    with (
        serving(command, root, tmp_path / "log") as address,
        httpx.Client(timeout=PATIENCE) as client,
    ):
        response = client.get(f"{address}/models")
        assert response.headers["Content-Encoding"] == "gzip"
        assert {model["name"] for model in response.json()["models"]} >= {"faces"}
        assert client.head(f"{address}/images/faces/1/5.png").status_code == 200
        for path in ("/health/live", "/health/ready", "/models", "/docs", "/"):
            assert (head := client.head(address + path)).status_code == 200
            assert head.content == b""
        assert client.get(f"{address}/images/faces/1/5.png").content.startswith(b"\x89PNG")
        assert "Content-Length" in client.head(f"{address}/images/faces/1/5.png").headers
