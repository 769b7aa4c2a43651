"""Types that openapi-typescript makes of the OpenAPI document: strict TypeScript, which works."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed"),
]
PACKAGES = ("openapi-typescript@7.13", "typescript@5.9", "@types/node@20")
STRICT = ("--strict", "--noUncheckedIndexedAccess", "--target", "es2022", "--module", "nodenext")


def run(folder: Path, *command: str) -> str:
    """The output of a command, which must succeed."""
    ended = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def compiled(client: TestClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the program, compiled with the types of the document."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    run(folder, "npm", "install", "--no-audit", "--no-fund", *PACKAGES)
    (folder / "openapi.json").write_text(json.dumps(client.get("/openapi.json").json()))
    run(folder, "npx", "openapi-typescript", "openapi.json", "--output", "dcgan.ts")
    shutil.copy(Path(__file__).with_name("typescript_client.ts"), folder)
    run(folder, "npx", "tsc", *STRICT, "typescript_client.ts")
    return folder


def test_a_field_of_a_wrong_type_is_an_error(compiled: Path) -> None:
    wrong = 'import type { components } from "./dcgan.js";\n'
    wrong += 'export const body: components["schemas"]["GenerateBody"] = { n: "4" };\n'
    (compiled / "wrong.ts").write_text(wrong)
    with pytest.raises(AssertionError, match="Type 'string' is not assignable to type 'number'"):
        run(compiled, "npx", "tsc", *STRICT, "--noEmit", "wrong.ts")


def test_its_requests_succeed(compiled: Path, plain_address: str) -> None:
    printed = run(compiled, "node", "typescript_client.js", plain_address)
    assert printed == "all responses are as expected\n"
