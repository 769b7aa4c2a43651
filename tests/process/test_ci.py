"""``.ci/run`` installs what is missing, and nothing else, before it runs the README's command."""

import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = ("bash", "chmod", "cp", "dirname", "grep", "head", "mkdir", "sed")
INSTALLED = ("chromium", "curl", "git", "haproxy", "wrk")
COMMAND = "python3 -m venv .venv && .venv/bin/pytest"
PYTHON = """echo "python3 $*" >> "$HOME/log"
mkdir -p .venv/bin
cp "$HOME/pytest" .venv/bin/pytest"""
APT_GET = """echo "apt-get $*" >> "$HOME/log"
[[ $1 == update ]] || cp "$HOME/python3" "$HOME/bin"
"""


@pytest.fixture
def machine(root: Path, tmp_path: Path) -> Path:
    """A clone on a machine with a few programs and an ``apt-get`` that notes what it installs."""
    clone, programs = tmp_path / "clone", tmp_path / "bin"
    (clone / ".ci").mkdir(parents=True)
    shutil.copy(root / ".ci" / "run", clone / ".ci")
    (clone / "README.md").write_text(f"{COMMAND}\n")
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool) or "")
    program(programs / "id", "echo 0")
    program(programs / "apt-get", APT_GET)
    program(tmp_path / "python3", PYTHON)
    program(tmp_path / "pytest", 'echo pytest >> "$HOME/log"')
    return tmp_path


def program(path: Path, script: str) -> None:
    path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    path.chmod(0o755)


def run(machine: Path) -> list[str]:
    """Run the script; returns what was called, in order."""
    command = [str(machine / "bin/bash"), str(machine / "clone/.ci/run")]
    environment = {"PATH": str(machine / "bin"), "HOME": str(machine)}
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return (machine / "log").read_text().splitlines()


def test_a_machine_without_python_gets_it_before_anything_else(machine: Path) -> None:
    update, install, *rest = run(machine)
    assert update == "apt-get update -qq"
    assert {"python3", "python3-venv", *INSTALLED} <= set(install.split())
    assert rest == ["python3 -m venv .venv", "pytest"]


def test_what_is_there_is_not_installed(machine: Path) -> None:
    shutil.copy(machine / "python3", machine / "bin")
    for name in INSTALLED:
        program(machine / "bin" / name, "exit 1")
    calls = run(machine)
    assert calls[-2:] == ["python3 -m venv .venv", "pytest"]
    installed = {
        word for call in calls if call.startswith("apt-get install") for word in call.split()
    }
    assert not installed & {"python3", "python3-venv", "python3-pip", *INSTALLED}


def test_without_root_nothing_is_installed(machine: Path) -> None:
    shutil.copy(machine / "python3", machine / "bin")
    program(machine / "bin" / "id", "echo 1000")
    assert not [call for call in run(machine) if call.startswith("apt-get")]
