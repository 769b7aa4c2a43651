"""requirements.lock: every package of the server's image, with the hashes of its files."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LINUX = {"python_full_version": "3.11.2", "sys_platform": "linux"}
ADVISORIES = "https://api.osv.dev"


@pytest.fixture
def lock(root: Path) -> str:
    return (root / "requirements.lock").read_text()


@pytest.fixture
def project(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return found


def pins(lock: str) -> dict[str, str]:
    """Return the version of every package on Linux with Python 3.11."""
    found = {}
    for name, version, marker in re.findall(
        r"^([\w.-]+)==(\S+)(?: ; (.+))? \\$", lock, re.MULTILINE
    ):
        if not marker or Marker(marker).evaluate(LINUX):
            found[canonicalize_name(name)] = version
    return found


def test_it_has_a_version_within_bounds_for_every_requirement(
    lock: str, project: dict[str, Any]
) -> None:
    locked = pins(lock)
    for line in project["dependencies"] + project["optional-dependencies"]["cpu"]:
        requirement = Requirement(line)
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{line}, but {version} is locked"


def test_every_version_has_hashes_and_no_line_names_an_index(lock: str) -> None:
    lines = [line.strip() for line in lock.splitlines() if not line.lstrip().startswith("#")]
    versions = [line for line in lines if "==" in line]
    for number, line in enumerate(lines):
        assert re.fullmatch(r"\S+==\S+( ; .+)? \\|--hash=sha256:[0-9a-f]{64}( \\)?", line)
        if line in versions:
            assert lines[number + 1].startswith("--hash=")
    assert "://" not in lock


def test_the_image_installs_nothing_without_a_hash(root: Path) -> None:
    stage = (root / "Dockerfile").read_text().partition("AS cpu-environment")[2]
    options = re.search(r" install (.*?)&&", stage.partition("\nFROM ")[0], re.DOTALL)
    assert options
    assert "--require-hashes --only-binary :all: -r /requirements.lock" in options[1]
    assert options[1].count(" -r ") == 1


@pytest.mark.network
def test_the_documented_command_makes_it(root: Path, lock: str, tmp_path: Path) -> None:
    # Without --upgrade, uv changes only what pyproject.toml requires.
    readme = (root / "app" / "deploy" / "README.md").read_text()
    documented = re.search(r"^\.venv/bin/(uv pip compile .+) --upgrade$", readme, re.MULTILINE)
    assert documented
    assert f"\n#    {documented[1]}\n" in lock
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(root / name, tmp_path)
    command = [sys.executable, "-m", *shlex.split(documented[1])]
    ended = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    if "error sending request" in ended.stderr:
        pytest.skip(f"the package index cannot be reached: {ended.stderr}")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "requirements.lock").read_text() == lock


@pytest.mark.network
def test_no_advisory_concerns_a_locked_version(root: Path) -> None:
    try:
        urllib.request.urlopen(ADVISORIES, timeout=5).close()
    except urllib.error.HTTPError:
        pass  # it answers, though not to this path
    except OSError as error:
        pytest.skip(f"the advisories at {ADVISORIES} cannot be reached: {error}")
    audit = ["-m", "pip_audit", "--vulnerability-service", "osv", "--timeout", "10"]
    audit += ["--disable-pip", "--require-hashes", "--requirement", str(root / "requirements.lock")]
    ended = subprocess.run([sys.executable, *audit], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
