"""Images are pinned by digest where a registry answers; otherwise no file changes."""

import re
import shutil
from pathlib import Path

import pytest

from app.deploy.pin import FILES, main, pin

DIGEST, OTHER = (f"sha256:{digit * 64}" for digit in "ab")


@pytest.fixture
def copies(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with copies of the files, in which the test runs, and a `docker` first in PATH."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    return tmp_path


def docker(folder: Path, script: str) -> None:
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_the_digest_follows_the_tag_and_is_replaced_by_the_next() -> None:
    text = "ARG PYTHON_IMAGE=python:3.11\nimage: ${HAPROXY_IMAGE:-haproxy:3.2}\nFROM base\n"
    once = pin(text, {"python:3.11": DIGEST, "haproxy:3.2": OTHER}.__getitem__)
    assert once == (
        f"ARG PYTHON_IMAGE=python:3.11@{DIGEST}\n"
        f"image: ${{HAPROXY_IMAGE:-haproxy:3.2@{OTHER}}}\nFROM base\n"
    )
    assert pin(once, lambda _: DIGEST) == once.replace(OTHER, DIGEST)


def test_every_published_image_is_pinned(copies: Path) -> None:
    docker(
        copies,
        f"""[ "$1 $2 $3" = "buildx imagetools inspect" ] && echo '{{"digest":"{DIGEST}"}}'""",
    )
    assert main() == 0
    before = {name: (copies / name).read_text() for name in FILES}
    names = set(re.findall(rf"(\w+_IMAGE)(?:=|:-)\S+@{DIGEST}", "".join(before.values())))
    services = {"HAPROXY_IMAGE", "PROMETHEUS_IMAGE", "GRAFANA_IMAGE"}
    assert names == services | {"PYTHON_IMAGE", "CUDA_IMAGE"}
    for line in (before["Dockerfile"] + before["app/deploy/Dockerfile"]).splitlines():
        assert not re.match(r"FROM \S*[:/]", line)  # every image is an argument or a stage
    assert main() == 0
    assert {name: (copies / name).read_text() for name in FILES} == before


def test_nothing_changes_where_one_image_has_no_digest(
    root: Path, copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docker(copies, f"""case "$4" in grafana*) exit 1;; esac; echo '{{"digest":"{DIGEST}"}}'""")
    assert main() == 1
    assert "no image was pinned" in capsys.readouterr().err
    for name in FILES:
        assert (copies / name).read_text() == (root / name).read_text()
