"""``fit --teacher``: the commands, and what does not fit a teacher."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.artifact import card
from training.__main__ import main
from training.config import Config
from training.errors import RunError
from training.export import teacher
from training.loop import checkpoint, teaching
from training.run.journal import Run

Fit = Callable[..., int]
CPU = torch.device("cpu")


def test_a_taught_run_is_resumed_and_its_card_names_the_teacher(
    fit: Fit, version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taught_by = ["--teacher", version, "--teacher-weight", 3]
    assert fit(tmp_path / "whole", *taught_by) == 0
    assert "teacher       tiny/3, weight 3" in capsys.readouterr().err.splitlines()
    assert fit(tmp_path / "run", *taught_by, "--epochs", 1) == 0
    moved = shutil.copytree(version.parent, tmp_path / "elsewhere" / "tiny")
    assert fit(tmp_path / "run", "--resume", "--epochs", 2, "--teacher", moved) == 0
    whole, run = (
        checkpoint.load(Run(tmp_path / name).checkpoint)["generator"] for name in ("whole", "run")
    )
    torch.testing.assert_close(run, whole, rtol=0, atol=0)
    found, expected = (
        [line["teacher_distance"] for line in Run(tmp_path / name).epochs()]
        for name in ("run", "whole")
    )
    assert found == expected
    assert all(0 < distance < 4 for distance in found)  # at most 2 on each of two scales
    assert f"teacher {found[-1]:.3f} " in capsys.readouterr().err
    flags = ["--name", "student", "--version", "1", "--models", str(tmp_path)]
    assert main(["export", str(tmp_path / "run"), *flags]) == 0
    options = card.read(tmp_path / "student" / "1").training.options
    assert (options["teacher"], options["teacher_weight"]) == ("tiny/3", 3)
    assert options["teacher_sha256"] == card.read(version).variant("any").sha256


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--latent-dim", 5], "its latents have 4 numbers, here 5; use --latent-dim 4"),
        (["--prior", "uniform"], "its latents are normal, here uniform; use --prior normal"),
        (["--image-size", 20], "its images have 16×16 pixels, here 20×20; use --image-size 16"),
        (
            ["--conditional", "classes"],
            "it takes neither classes nor attributes, this run the classes t-shirt, trouser, pull",
        ),
        (["--teacher", "nowhere"], "nowhere: neither a run nor a published model such as models/"),
    ],
)
def test_what_does_not_fit_is_named_before_the_run_begins(
    fit: Fit,
    finished_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[object],
    message: str,
) -> None:
    assert fit(tmp_path / "run", "--teacher", finished_run, *flags) == 1
    found = capsys.readouterr().err
    assert found.startswith("error: --teacher ")
    assert message in found
    assert not (tmp_path / "run").exists()


def test_a_weight_needs_a_teacher(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", "--teacher-weight", 3) == 1
    assert "--teacher-weight 3: needs --teacher" in capsys.readouterr().err


def test_a_teacher_of_other_colours_does_not_fit(finished_run: Path) -> None:
    found = replace(teacher.find(finished_run), image_shape=(3, 16, 16))
    with pytest.raises(RunError, match="its images are in colour, here grey"):
        teaching.check_images(found, Config(teacher=finished_run), Run(finished_run).data())


def test_a_resumed_run_keeps_its_teacher(
    fit: Fit, finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(finished_run, "--resume", "--teacher", finished_run) == 1
    assert "contradicts the run, which began with no --teacher" in capsys.readouterr().err
    taught_by = shutil.copytree(finished_run, tmp_path / "larger")
    assert fit(tmp_path / "run", "--teacher", taught_by, "--epochs", 1) == 0
    with Run(taught_by).checkpoint.open("ab") as file:
        file.write(b"trained on")
    assert fit(tmp_path / "run", "--resume", "--epochs", 2) == 1
    assert "is not that of the run's teacher, " in capsys.readouterr().err


def test_a_teacher_that_cannot_be_read_is_an_error(
    version: Path, finished_run: Path, tmp_path: Path
) -> None:
    damaged = shutil.copytree(version, tmp_path / "tiny" / "3")
    (damaged / card.read(damaged).variants[0].file).write_bytes(b"")
    with pytest.raises(RunError, match=r"^--teacher .*generator.onnx: has SHA-256"):
        teacher.find(damaged).load(CPU)
    begun = shutil.copytree(finished_run, tmp_path / "begun")
    Run(begun).checkpoint.unlink()
    with pytest.raises(RunError, match=r"^--teacher .*begun: last.pt cannot be read: No such"):
        teacher.find(begun)
