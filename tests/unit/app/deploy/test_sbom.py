"""The bill of materials: valid CycloneDX, complete, and the same for the same packages."""

import json
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from app.deploy.sbom import document


def package(folder: Path, metadata: str) -> Distribution:
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\n{metadata}")
    return Distribution.at(folder)


def test_it_is_valid_and_lists_every_installed_package() -> None:
    found = document(distributions())
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(found)) is None
    names = {component["name"] for component in found["components"]}
    assert {"python", "fastapi", "pydantic-core", "onnxruntime"} <= names


def test_that_check_can_fail() -> None:
    broken = {**document([]), "components": [{"name": "numpy"}]}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


@pytest.mark.parametrize(
    ("metadata", "licences"),
    [
        ("License-Expression: MIT OR Apache-2.0\n", [{"expression": "MIT OR Apache-2.0"}]),
        (
            "Classifier: License :: OSI Approved :: BSD License\nClassifier: Framework :: ASGI\n",
            [{"license": {"name": "BSD License"}}],
        ),
        ("", None),
    ],
)
def test_a_package_has_its_name_in_canonical_form_its_version_and_its_licence(
    tmp_path: Path, metadata: str, licences: object
) -> None:
    installed = package(tmp_path, f"Name: Some_Package\nVersion: 1.2\n{metadata}")
    _, found = document([installed])["components"]
    assert (found["name"], found["version"]) == ("some-package", "1.2")
    assert found["purl"] == "pkg:pypi/some-package@1.2"
    assert found.get("licenses") == licences


def test_two_runs_print_the_same_bytes(root: Path) -> None:
    command = [sys.executable, "-I", str(root / "app" / "deploy" / "sbom.py")]
    first, second = (subprocess.check_output(command) for _ in range(2))
    assert first == second
    assert json.loads(first)["bomFormat"] == "CycloneDX"
