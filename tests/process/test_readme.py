"""The READMEs hold: their commands run, their tables are complete, their links lead somewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from app.exchange.options import PullSettings, PushSettings
from app.rendering.options import RenderSettings
from app.settings import PREFIX, Settings
from tests.dcgan_example import Example, exported, trained
from tests.serving import serving
from tests.tiny_run import tiny_flags, write_data
from tests.unit.test_borders import APP, TRAINING
from tests.waiting import PATIENCE
from training.__main__ import main, parser
from training.data.avatars.faces import ATTRIBUTES, attributes_of, sample_face

READMES = (
    "README.md",
    "app/README.md",
    "app/api/README.md",
    "app/deploy/README.md",
    "training/README.md",
    "models/README.md",
    "tests/README.md",
)
DOCUMENTS = (
    *READMES,
    "CHANGELOG.md",
    "training/RESULTS.md",
    "tests/bench/RESULTS.md",
    "tests/process/faults/RESULTS.md",
)
ADDRESS = "http://127.0.0.1:8000"
ADMIN_KEY = "key-of-the-administrator"
MAGIC = {
    ".png": b"\x89PNG",
    ".gif": b"GIF89a",
    ".webp": b"RIFF",
    ".zip": b"PK",
    ".json": b"{",
    ".ndjson": b'{"',
}
"""The first bytes of every format that an example downloads."""


@pytest.fixture(scope="module")
def texts(root: Path) -> dict[str, str]:
    """Every document, by its path."""
    return {name: (root / name).read_text() for name in DOCUMENTS}


def lines(text: str, beginning: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(beginning)]


def commands(texts: dict[str, str], beginning: str) -> list[str]:
    """The lines of all documents that start with ``beginning``."""
    return [line for text in texts.values() for line in lines(text, beginning)]


def blocks(text: str, language: str) -> list[str]:
    return [block.partition("```")[0] for block in text.split(f"```{language}\n")[1:]]


@pytest.fixture(scope="module")
def server(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_ADMIN_KEYS", ADMIN_KEY)
        with serving([sys.executable, "-m", "app"], root, log) as address:
            yield address


def test_the_front_page_is_short(texts: dict[str, str]) -> None:
    assert len(texts["README.md"].splitlines()) <= 150


@pytest.mark.parametrize(
    ("name", "least"), [("README.md", 5), ("app/README.md", 2), ("app/api/README.md", 18)]
)
def test_every_curl_example_works(
    texts: dict[str, str], server: str, tmp_path: Path, name: str, least: int
) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    examples = lines(texts[name], "curl ")
    assert len(examples) >= least
    if "mkdir -p runs" in texts[name].splitlines():
        (tmp_path / "runs").mkdir()
    environment = {**os.environ, "DCGAN_ADMIN_KEYS": ADMIN_KEY}
    for example in examples:
        assert ADDRESS in example
        command = example.replace(ADDRESS, server).replace("curl ", "curl -sS --fail ", 1)
        subprocess.run(  # noqa: S602
            command,
            shell=True,
            cwd=tmp_path,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    named = {word for example in examples for word in re.findall(r" -o (\S+)", example)}
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert named == written
    for file in named:
        content = (tmp_path / file).read_bytes()
        assert content.startswith(MAGIC[Path(file).suffix]), file
        if file.endswith(".ndjson"):
            assert len(content.splitlines()) == 64


def test_all_curl_examples_are_in_documents_whose_examples_run(texts: dict[str, str]) -> None:
    have = {name for name, text in texts.items() if lines(text, "curl ")}
    assert have == {"README.md", "app/README.md", "app/api/README.md"}


def test_the_python_example_downloads_images(
    texts: dict[str, str], server: str, tmp_path: Path
) -> None:
    found = blocks(texts["app/api/README.md"], "python")
    (example,) = (block for block in found if "import httpx" in block)
    program = example.replace(ADDRESS, server)
    assert program != example
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    files = {path.name: path.read_bytes() for path in (tmp_path / "runs").iterdir()}
    assert len(files) == 4 + 15
    for seed in range(42, 46):
        image = httpx.get(f"{server}/images/fashion-mnist/3/{seed}.png", timeout=PATIENCE)
        assert files[f"{seed}.png"] == image.content
    assert files["frame-0.500.png"] not in {files["frame-0.000.png"], files["frame-1.000.png"]}


def test_the_examples_of_errors_are_what_the_server_answers(
    texts: dict[str, str], server: str
) -> None:
    problem, error, refused = map(json.loads, blocks(texts["app/api/README.md"], "json"))
    assert httpx.post(f"{server}/generate?n=257", timeout=PATIENCE).json() == problem
    assert httpx.get(f"{server}/v2/models/cats", timeout=PATIENCE).json() == error
    body = {"prompt": "", "n": 0}
    found = httpx.post(f"{server}/v1/images/generations", json=body, timeout=PATIENCE)
    assert found.json() == refused


def test_every_route_is_in_a_table(texts: dict[str, str], client: TestClient) -> None:
    rows = lines(texts["app/api/README.md"], "| `")
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert any(f"`{method.upper()} {path}`" in row for row in rows), path


def test_every_setting_is_in_the_table_with_its_default(texts: dict[str, str]) -> None:
    rows = lines(texts["app/README.md"], "| `--")
    assert len(rows) == len(Settings.model_fields)
    for row, (name, field) in zip(rows, Settings.model_fields.items(), strict=True):
        flag = "--" + name.replace("_", "-")
        assert row.startswith(f"| `{flag}` | `{PREFIX}{name.upper()}` | `{field.default}` |")


def test_every_render_command_parses(texts: dict[str, str]) -> None:
    examples = commands(texts, ".venv/bin/python -m app render ")
    assert len(examples) >= 2
    for example in examples:
        RenderSettings(_cli_parse_args=example.split()[4:])


def test_every_pull_and_push_command_parses(texts: dict[str, str]) -> None:
    for name, settings in (("pull", PullSettings), ("push", PushSettings)):
        examples = commands(texts, f".venv/bin/python -m app {name} ")
        assert examples
        for example in examples:
            settings(_cli_parse_args=example.split()[4:])


def test_every_training_command_parses(texts: dict[str, str]) -> None:
    examples = commands(texts, ".venv/bin/python -m training ")
    assert len(lines(texts["README.md"], ".venv/bin/python -m training ")) == 3
    launched = commands(texts, ".venv/bin/torchrun ")
    contained = commands(texts, "docker compose run ")
    assert launched
    assert contained
    for example in examples:
        parser().parse_args(example.split()[3:])
    for example in launched:
        parser().parse_args(example.partition(" -m training ")[2].split())
    for example in contained:
        parser().parse_args(example.partition(" train ")[2].split())


@pytest.fixture
def clone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with the models and two generators from elsewhere; the working directory."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    folder = tmp_path / "clone"
    shutil.copytree(root / "models", folder / "models")
    shutil.copy(root / ".gitignore", folder)
    network = trained(Example())
    torch.save(network.main.state_dict(), folder / "netG.pth")
    exported(network, folder / "generator.onnx")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "models"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    return folder


def test_following_the_readmes_leaves_the_clone_clean(
    texts: dict[str, str], clone: Path, tmp_path: Path
) -> None:
    fit, _, export = lines(texts["README.md"], ".venv/bin/python -m training ")
    guide = lines(texts["training/README.md"], ".venv/bin/python -m training ")
    foreign = [line for line in guide if re.search(r" training (?:import|adopt) ", line)]
    assert len(foreign) == 2
    short = " ".join(tiny_flags(write_data(tmp_path / "data")))
    for command in (f"{fit} {short} --score-every 0", export, *foreign):
        assert main(command.split()[3:]) == 0, command
    assert {path.name for path in Path("runs").iterdir()} == {"first", "models"}
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, check=True, capture_output=True, text=True
    )
    assert status.stdout == ""


def test_commands_that_publish_name_a_folder_below_runs(texts: dict[str, str]) -> None:
    for example in commands(texts, ".venv/bin/python -m training "):
        options = vars(parser().parse_args(example.split()[3:]))
        if "models" in options:
            assert options["models"].parts[0] == "runs", example


def test_commands_write_below_runs(texts: dict[str, str]) -> None:
    """``runs`` and ``data`` are ignored by git; the lock file alone is made to be committed."""
    for text in texts.values():
        for block in blocks(text, "sh"):
            for out in re.findall(r" (?:--out|--engine-cache|-o) (\S+)", block):
                assert out.startswith(("runs/", "data/")) or out == "requirements.lock", out


# What the documents name.


def modules(text: str) -> set[str]:
    """The dotted names of modules and packages that ``text`` mentions."""
    found = {
        match[0] for match in re.finditer(r"(?<![\w/.])(?:app|training|tests)(?:\.\w+)+", text)
    }
    return {name for name in found if not name.endswith((".gif", ".py"))}


def files(text: str) -> set[str]:
    """The names of source files in code spans of ``text``."""
    pattern = r"`((?:[\w-]+/)*[\w.-]+\.(?:py|md|yml|yaml|cfg|toml|lua|js))`"
    return set(re.findall(pattern, text))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_module_and_file_that_is_named_exists(
    texts: dict[str, str], root: Path, name: str
) -> None:
    for module in modules(texts[name]):
        path, (package, _, last) = root / module.replace(".", "/"), module.rpartition(".")
        exists = path.is_dir() or path.with_suffix(".py").exists()
        assert exists or hasattr(import_module(package), last), module
    tops = [root / top for top in ("app", "training", "models", "tests")]
    there = [path for top in tops for path in top.rglob("*.*")] + [*root.glob("*.*")]
    paths = {f"/{path.relative_to(root).as_posix()}" for path in there}
    for file in files(texts[name]):
        resolved = os.path.normpath(Path("/", name).parent / file)
        assert resolved in paths or any(path.endswith(f"/{file}") for path in paths), file


def test_that_check_can_fail() -> None:
    assert modules("see `app.nowhere`, app.main:create_app and training.gif") == {
        "app.nowhere",
        "app.main",
    }
    assert files("`app/nowhere.py` and `haproxy.cfg`") == {"app/nowhere.py", "haproxy.cfg"}


def anchors(text: str) -> set[str]:
    """The fragments under which GitHub finds the headings of ``text``."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert len(slugs) == len(set(slugs)), "a heading stands twice: GitHub numbers its links"
    return set(slugs)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_relative_link_leads_somewhere(texts: dict[str, str], root: Path, name: str) -> None:
    text = texts[name]
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r' src="([^"]+)"', text)
    for target in targets:
        if target.startswith(("http://", "https://", "/")):
            continue
        path, _, fragment = target.partition("#")
        file = (root / name).parent / path if path else root / name
        assert file.exists(), target
        if fragment:
            assert fragment in anchors(file.read_text()), target


def test_the_front_page_links_to_all_others(texts: dict[str, str]) -> None:
    for name in READMES[1:]:
        assert f"]({name})" in texts["README.md"]


@pytest.mark.parametrize(("top", "floors"), [("app", APP), ("training", TRAINING)])
def test_the_table_of_packages_is_complete_and_in_the_order_of_imports(
    texts: dict[str, str], root: Path, top: str, floors: dict[str, set[str]]
) -> None:
    table = texts[f"{top}/README.md"].partition("| package | content |\n")[2].partition("\n\n")[0]
    listed = re.findall(rf"^\| `{top}\.(\w+)` \|", table, re.MULTILINE)
    there = {path.parent.name for path in (root / top).glob("*/__init__.py")}
    assert listed == [name for name in reversed(floors) if name in there]
    assert set(listed) == there


def test_every_attribute_of_a_drawn_face_is_listed_with_its_share(texts: dict[str, str]) -> None:
    listed = dict(re.findall(r"\| `(\w+)` \| (\d+)% ", texts["training/README.md"]))
    assert listed.keys() == ATTRIBUTES.keys()
    shares = np.mean([attributes_of(sample_face(0, number)) for number in range(5000)], axis=0)
    for name, share in zip(ATTRIBUTES, shares, strict=True):
        assert int(listed[name]) == pytest.approx(100 * share, abs=2), name


def check_console(clone: Path, place: Path) -> None:
    """The installed command works in a folder with an app.py that is not ours, without PyTorch."""
    place.mkdir()
    (place / "app.py").write_text("raise SystemExit('not ours')\n")
    command = str(clone / ".venv/bin/dcgan")
    render = [command, "render", "--models", str(clone / "models"), "--out", "x.npz", "--count=2"]
    subprocess.run(render, cwd=place, check=True)
    train = [command, "train", "fit", "--out", "run"]
    ended = subprocess.run(train, cwd=place, check=False, capture_output=True, text=True)
    assert (ended.returncode, "pip install '.[cpu,train]'" in ended.stderr) == (1, True)


@pytest.mark.network
def test_the_serve_command_serves_without_torch(
    texts: dict[str, str], root: Path, tmp_path: Path
) -> None:
    """The first command, word for word but for the port, in a copy with nothing installed."""
    found = lines(texts["README.md"], "python3 -m venv")
    (command,) = (line for line in found if "-m app" in line)
    *installing, starting = command.split(" && ")
    clone = tmp_path / "clone"
    for name in ("app", "training", "models"):
        shutil.copytree(root / name, clone / name, ignore=shutil.ignore_patterns(".*", "*.pyc"))
    for name in ("README.md", "LICENSE", "pyproject.toml", ".gitignore"):
        shutil.copy(root / name, clone)
    subprocess.run(["bash", "-c", " && ".join(installing)], cwd=clone, check=True)
    with serving(starting.split(), clone, tmp_path / "log") as address:
        assert len(httpx.post(f"{address}/generate?n=16", timeout=PATIENCE).json()["images"]) == 16
    check_console(clone, tmp_path / "project")
    installed = clone.glob(".venv/lib/python*/site-packages/app/web/*")
    there = {path.name for path in (root / "app" / "web").iterdir() if path.suffix}
    assert {path.name for path in installed if path.suffix} == there
    packages = {path.name.lower() for path in clone.glob(".venv/lib/python*/site-packages/*")}
    assert "onnxruntime" in packages
    assert not packages & {"torch", "onnx", "httpx"}
