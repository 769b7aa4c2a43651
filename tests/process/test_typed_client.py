"""A client that is generated from the OpenAPI document: its types hold, and it is answered."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.api.content_negotiation import JSON
from tests.serving import serving

# The generator knows no images: to it they are files like others.
BYTES = "application/octet-stream"


@pytest.fixture(scope="module")
def generated(client: TestClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a package ``dcgan_client``, whose making warned of nothing."""
    folder = tmp_path_factory.mktemp("generated")
    document = client.get("/openapi.json").json()
    answers = [
        answer
        for operations in document["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
    ]
    types = {name for answer in answers for name in answer.get("content", {}) if name != JSON}
    options = {
        "content_type_overrides": {name: BYTES for name in types if not name.endswith("json")},
        "post_hooks": [],
    }
    (folder / "options.json").write_text(json.dumps(options))
    (folder / "openapi.json").write_text(json.dumps(document))
    run(
        folder,
        *("openapi_python_client", "generate", "--path", "openapi.json", "--config"),
        *("options.json", "--meta", "none", "--output-path", "dcgan_client", "--fail-on-warning"),
    )
    shutil.copy(Path(__file__).with_name("typed_client.py"), folder)
    return folder


def run(folder: Path, module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    ended = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_its_types_hold(generated: Path) -> None:
    run(generated, "mypy", "--strict", "--config-file", "", "dcgan_client", "typed_client.py")


def test_it_is_answered(generated: Path, root: Path, tmp_path: Path) -> None:
    with serving([sys.executable, "-m", "app"], root, tmp_path / "log") as address:
        run(generated, "typed_client", address)
