"""``dcgan``: what each command starts, from any directory, whatever lies in it."""

import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import numpy as np
import pytest

from app import __version__, console
from tests.serving import ended, serving
from tests.waiting import PATIENCE, until_loaded


@pytest.fixture
def command(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command as pip would install it: a script in a folder of its own."""
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]
    module, function = scripts["dcgan"].split(":")
    script = tmp_path / "bin" / "dcgan"
    script.parent.mkdir()
    script.write_text(
        f"import sys\nfrom {module} import {function}\n"
        f"if __name__ == '__main__':\n    sys.exit({function}())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    return [sys.executable, str(script)]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A working directory with modules of the user that have the names of our packages."""
    place = tmp_path / "project"
    place.mkdir()
    for name in ("app", "training", "tests"):
        (place / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the user')\n")
    return place


def test_its_workers_serve_beside_an_app_of_the_user(
    command: list[str], elsewhere: Path, models: Path, tmp_path: Path
) -> None:
    flags = ["--models", str(models), "--workers", "2", "--default-model", "digits"]
    log = tmp_path / "log"
    with serving([*command, "serve", *flags], elsewhere, log) as address:
        ready = httpx.get(f"{address}/health/ready", timeout=PATIENCE).json()
        assert ready["model"] == "digits"
        assert ready["refused"] == []
        answer = httpx.post(f"{address}/generate?n=3", timeout=PATIENCE)
        assert len(answer.json()["images"]) == 3
    assert "of the user" not in log.read_text()


def test_it_serves_beside_an_app_of_the_user_and_ends_by_a_signal_with_status_0(
    command: list[str], elsewhere: Path, models: Path
) -> None:
    process = subprocess.Popen(
        [*command, "serve", "--models", str(models), "--port", "0"],
        cwd=elsewhere,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    with process.stderr as lines, ended(process):
        address = next(m[0] for line in lines if (m := re.search(r"http://\S+", line)))
        until_loaded(address)
        assert httpx.post(f"{address}/generate?n=1", timeout=PATIENCE).is_success
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_it_renders_beside_an_app_of_the_user(
    command: list[str], elsewhere: Path, models: Path
) -> None:
    flags = ["--models", str(models), "--model", "digits", "--count", "4", "--out", "digits.npz"]
    subprocess.run([*command, "render", *flags], cwd=elsewhere, check=True, capture_output=True)
    with np.load(elsewhere / "digits.npz") as file:
        assert file["seeds"].tolist() == [0, 1, 2, 3]


def test_it_trains_beside_a_training_of_the_user(command: list[str], elsewhere: Path) -> None:
    flags = ["fit", "--out", "run", "--dataset", "folder:pictures"]
    ended = subprocess.run(
        [*command, "train", *flags], cwd=elsewhere, check=False, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "pictures" in ended.stderr.partition("error: ")[2]


@pytest.mark.usefixtures("command")
def test_without_pytorch_the_trainer_says_what_to_install(elsewhere: Path) -> None:
    program = "import sys; sys.modules['torch'] = None; from app.console import main; main()"
    words = [sys.executable, "-P", "-c", program, "train", "fit", "--out", "run"]
    ended = subprocess.run(words, cwd=elsewhere, check=True, capture_output=True, text=True)
    assert ended.stderr.startswith("error: torch is not installed")
    assert "pip install '.[cpu,train]'" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        (["serve"], "usage: dcgan serve "),
        (["render"], "usage: dcgan render "),
        (["pull"], "usage: dcgan pull "),
        (["push"], "usage: dcgan push "),
        (["train"], "usage: dcgan train "),
        (["train", "export"], "usage: dcgan train export "),
    ],
    ids=" ".join,
)
def test_the_help_of_a_command_names_it_as_it_was_called(
    arguments: list[str], usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        console.main([*arguments, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(usage)


def test_the_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.main(["--help"]) == 0
    words = capsys.readouterr().out
    assert all(f"\n  {name} " in words for name in ("serve", "render", "pull", "push", "train"))


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.main(["--version"]) == 0
    assert capsys.readouterr().out == f"dcgan {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "a command is missing"), (["serv"], "no such command: 'serv'")],
    ids=["none", "unknown"],
)
def test_a_wrong_call_prints_the_usage(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.main(arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("usage: dcgan ")
    assert words in printed


def test_invalid_values_are_reported_by_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", {})
    assert console.main(["serve", "--port", "eighty"]) == 2
    assert console.main(["render", "--out", "x", "--count", "none"]) == 2
    assert console.main(["train", "fit", "--out", "x", "--epochs", "0"]) == 2
    assert capsys.readouterr().err.count("error: ") == 3
