"""The server's image: size, content, metadata and build cache."""

import json
import re
from pathlib import Path

import pytest

from tests.deploy.containers import copy_sources, docker, project, state
from tests.deploy.test_lock import pins

MB = 1_000_000


def inspected(image: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(docker("image", "inspect", image))[0]
    return found


def layers(image: str) -> list[str]:
    found: list[str] = inspected(image)["RootFS"]["Layers"]  # type: ignore[index]
    return found


def test_it_adds_the_size_that_the_readme_states_and_at_most_350_mb(
    image: str, engine: str, root: Path
) -> None:
    added = int(str(inspected(image)["Size"])) - int(str(inspected(engine)["Size"]))
    stated = re.search(
        r"The image adds (\d+) MB to", (root / "app" / "deploy" / "README.md").read_text()
    )
    assert stated
    assert added == pytest.approx(int(stated[1]) * MB, rel=0.1)
    assert added < 350 * MB


def test_it_contains_neither_torch_nor_a_compiler_nor_tests(image: str) -> None:
    program = """
import importlib.util, os, shutil
print([name for name in ("torch", "onnx", "pip", "pytest", "training", "tests")
       if importlib.util.find_spec(name)])
print([name for name in ("cc", "gcc", "g++", "clang", "make") if shutil.which(name)])
print(sorted(os.listdir("/srv")), sorted(os.listdir("/srv/models")))
"""
    printed = docker("run", "--rm", "--entrypoint", "python", image, "-c", program).splitlines()
    assert printed == ["[]", "[]", "['app', 'models'] ['digits', 'faces', 'fashion-mnist']"]


def test_it_contains_the_locked_packages_and_lists_them(image: str, root: Path) -> None:
    bill = docker("run", "--rm", "--entrypoint", "cat", image, "/venv/sbom.cdx.json")
    python, *packages = json.loads(bill)["components"]
    listed = {package["name"]: package["version"] for package in packages}
    assert listed == pins((root / "requirements.lock").read_text())
    assert python["version"].startswith("3.11.")


def test_its_metadata_names_user_stop_signal_and_health_check(image: str) -> None:
    config = inspected(image)["Config"]
    assert isinstance(config, dict)
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert "curl" not in str(config["Healthcheck"])
    assert config["Labels"]["org.opencontainers.image.title"] == "dcgan-server"


def test_a_wrong_argument_ends_it_with_status_2(image: str) -> None:
    container = docker("create", image, "--port", "nowhere").strip()
    try:
        docker("start", container)
        docker("wait", container)
        assert state(container)["State"]["ExitCode"] == 2
    finally:
        docker("rm", "--force", container)


def test_a_change_of_code_rebuilds_only_the_last_layer(
    image: str, root: Path, tmp_path: Path
) -> None:
    copy_sources(root, tmp_path)
    with (tmp_path / "app" / "main.py").open("a") as module:
        module.write("# changed\n")
    with project(tmp_path, tmp_path, f"{image}-changed") as copy:
        copy.compose("build")
    *same, last = layers(image)
    *same_too, changed = layers(f"{image}-changed")
    assert same == same_too
    assert last != changed
