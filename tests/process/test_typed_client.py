"""A client that is generated from the OpenAPI document: mypy accepts it, and it works."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.api.uploads import MULTIPART

# The generator has no type for images; they are plain files to it.
BYTES = "application/octet-stream"


@pytest.fixture(scope="module")
def generated(client: TestClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated package ``dcgan_client``; a warning of the generator fails."""
    folder = tmp_path_factory.mktemp("generated")
    document = client.get("/openapi.json").json()
    operations = [one for path in document["paths"].values() for one in path.values()]
    bodies = [one["requestBody"] for one in operations if "requestBody" in one]
    responses = [one for operation in operations for one in operation["responses"].values()]
    types = {name for one in (*bodies, *responses) for name in one.get("content", {})}
    files = {name for name in types if not name.endswith("json") and name != MULTIPART}
    options = {
        "content_type_overrides": dict.fromkeys(files, BYTES),
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


def run(folder: Path, module: str, *arguments: str) -> str:
    """The output of a module, which must succeed."""
    command = [sys.executable, "-m", module, *arguments]
    ended = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_mypy_accepts_it(generated: Path) -> None:
    flags = ("--strict", "--config-file", "")
    assert "no issues found" in run(generated, "mypy", *flags, "dcgan_client", "typed_client.py")


def test_its_requests_succeed(generated: Path, plain_address: str) -> None:
    assert run(generated, "typed_client", plain_address) == "all responses are as expected\n"
