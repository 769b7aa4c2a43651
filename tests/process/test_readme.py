"""The README is tested: its commands run, and it tells every setting and every route."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from app.rendering.options import RenderSettings
from app.settings import PREFIX, Settings
from tests.serving import serving
from training.__main__ import parser
from training.data.avatars.faces import ATTRIBUTES, choose, described

ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text()


def commands(readme: str, beginning: str) -> list[str]:
    return [line for line in readme.splitlines() if line.startswith(beginning)]


@pytest.fixture(scope="module")
def server(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_ADMIN_KEYS", "key-of-the-reader")  # which an example sends
        with serving([sys.executable, "-m", "app"], root, log) as address:
            yield address


def test_every_curl_example_works(readme: str, server: str, tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    examples = commands(readme, "curl ")
    assert len(examples) >= 8
    for example in examples:
        assert ADDRESS in example
        command = example.replace(ADDRESS, server).replace("curl ", "curl -sS --fail ", 1)
        subprocess.run(command, shell=True, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)  # noqa: S602
    sheets = (
        "sheet",
        "large",
        "chosen",
        "42",
        "strip",
        "loop",
        "grid",
        "plane",
        "variations",
        "sum",
        "glasses",
    )
    for name in (f"{sheet}.png" for sheet in sheets):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "loop.gif").read_bytes().startswith(b"GIF89a")
    assert len((tmp_path / "frames.ndjson").read_text().splitlines()) == 64
    assert (tmp_path / "42.webp").read_bytes()[8:12] == b"WEBP"
    assert (tmp_path / "images.zip").read_bytes().startswith(b"PK")


def test_the_python_example_draws(readme: str, server: str, tmp_path: Path) -> None:
    blocks = (block.partition("```")[0] for block in readme.split("```python\n")[1:])
    (example,) = (block for block in blocks if "import httpx" in block)
    program = example.replace(ADDRESS, server)
    assert program != example
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(drawn) == 4 + 15
    for seed in range(42, 46):
        image = httpx.get(f"{server}/images/fashion-mnist/2/{seed}.png")
        assert drawn[f"{seed}.png"] == image.content
    assert drawn["frame-0.500.png"] not in {drawn["frame-0.000.png"], drawn["frame-1.000.png"]}


def test_the_error_example_is_what_the_server_answers(readme: str, server: str) -> None:
    problem = httpx.post(f"{server}/generate?n=257").json()
    assert problem["detail"] in readme
    assert all(str(value) in readme for value in problem["errors"][0].values())


def test_every_route_is_in_the_table(readme: str, client: TestClient) -> None:
    rows = commands(readme, "| `")
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert any(f"`{method.upper()} {path}`" in row for row in rows), path


def test_every_setting_is_in_the_table_with_its_default(readme: str) -> None:
    rows = commands(readme, "| `--")
    assert len(rows) == len(Settings.model_fields)
    for row, (name, field) in zip(rows, Settings.model_fields.items(), strict=True):
        flag = "--" + name.replace("_", "-")
        start = f"| `{flag}` | `{PREFIX}{name.upper()}` | `{field.default}` |"
        assert row.startswith(start)


def test_the_example_of_rendering_parses(readme: str) -> None:
    examples = commands(readme, ".venv/bin/python -m app render ")
    assert len(examples) >= 2
    for example in examples:
        RenderSettings(_cli_parse_args=example.split()[4:])


def test_every_training_command_parses(readme: str) -> None:
    examples = commands(readme, ".venv/bin/python -m training ")
    assert len(examples) >= 2
    for example in examples:
        parser().parse_args(example.split()[3:])
    launched = commands(readme, ".venv/bin/torchrun ")
    assert launched
    for example in launched:
        _, _, arguments = example.partition(" -m training ")
        parser().parse_args(arguments.split())


def test_every_file_it_names_is_there(readme: str, root: Path) -> None:
    for package in ("app", "training"):
        tree = readme.partition(f"\n{package}/ ")[2].partition("\n\n")[0]
        told = set(re.findall(r"^  ([\w/]+(?:\.py)?)", tree.split("\nt")[0], re.MULTILINE))
        there = {path.name for path in (root / package).iterdir() if path.suffix == ".py"}
        there |= {f"{p.name}/" for p in (root / package).iterdir() if (p / "__init__.py").exists()}
        assert told == there - {"__init__.py"}


def test_every_attribute_of_a_drawn_face_is_told_with_its_share(readme: str) -> None:
    told = dict(re.findall(r"\| `(\w+)` \| (\d+)% ", readme))
    assert told.keys() == ATTRIBUTES.keys()
    shares = np.mean([described(choose(0, number)) for number in range(5000)], axis=0)
    for name, share in zip(ATTRIBUTES, shares, strict=True):
        assert int(told[name]) == pytest.approx(100 * share, abs=2), name


@pytest.mark.network
def test_the_serve_command_serves_without_torch(readme: str, root: Path, tmp_path: Path) -> None:
    """The first command, word for word but for the port, in a copy with nothing installed."""
    (command,) = (line for line in commands(readme, "python3 -m venv") if "-m app" in line)
    *installing, starting = command.split(" && ")
    ignored = shutil.ignore_patterns(".*", "runs", "data", "tests")
    clone = shutil.copytree(root, tmp_path / "clone", ignore=ignored)
    subprocess.run(["bash", "-c", " && ".join(installing)], cwd=clone, check=True)
    with serving(starting.split(), clone, tmp_path / "log") as address:
        assert len(httpx.post(f"{address}/generate?n=16").json()["images"]) == 16
    installed = clone.glob(".venv/lib/python*/site-packages/app/web/*")
    there = {path.name for path in (root / "app" / "web").iterdir() if path.suffix}
    assert {path.name for path in installed if path.suffix} == there
    packages = {path.name.lower() for path in clone.glob(".venv/lib/python*/site-packages/*")}
    assert "onnxruntime" in packages
    assert not packages & {"torch", "onnx", "httpx"}
