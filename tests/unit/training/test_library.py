"""``training.fit``: a run from Python."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import training
import training.library
from tests import tiny_run
from training.loop import checkpoint
from training.run.journal import Run
from training.run.report import Report


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> training.Config:
    """The options of a run of two epochs of five steps."""
    flags = tiny_run.tiny_flags(tiny_run.write_data(tmp_path_factory.mktemp("data")))
    names = (flag.removeprefix("--").replace("-", "_") for flag in flags[::2])
    return training.from_flags(dict(zip(names, flags[1::2], strict=True)))


def test_the_doctests_hold() -> None:
    found = doctest.testmod(training.library)
    assert (found.attempted, found.failed) == (2, 0)


def test_importing_the_package_loads_nothing(root: Path) -> None:
    program = "import sys, training; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True
    )
    assert not {"torch", "numpy", "pydantic", "training.config"} & {*ended.stdout.split()}
    with pytest.raises(AttributeError, match="'training' has no attribute 'fitt'"):
        _ = training.fitt  # type: ignore[attr-defined]


def test_progress_is_called_with_every_report(options: training.Config, tmp_path: Path) -> None:
    reports: list[Report] = []
    folder = training.fit(options, tmp_path / "run", progress=reports.append)
    assert folder == tmp_path / "run"
    ends = [report for report in reports if report.epoch_done]
    assert [(report.epoch, report.step) for report in ends] == [(1, 5), (2, 10)]
    lines = Run(folder).epochs()
    assert [line["discriminator_loss"] for line in lines] == [e.discriminator_loss for e in ends]


def test_it_is_the_run_of_the_command(
    options: training.Config, finished_run: Path, tmp_path: Path
) -> None:
    training.fit(options, str(tmp_path / "run"))
    ours, theirs = (
        checkpoint.load(Run(run).checkpoint)["generator"]
        for run in (tmp_path / "run", finished_run)
    )
    assert all(values.equal(theirs[name]) for name, values in ours.items())


def test_a_run_that_its_caller_ends_is_resumed(
    options: training.Config, finished_run: Path, tmp_path: Path
) -> None:
    def end(report: Report) -> None:
        if report.epoch == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        training.fit(options, tmp_path, progress=end)
    assert checkpoint.load(Run(tmp_path).checkpoint)["step"] == 5
    with pytest.raises(training.TrainingError, match="already contains a run"):
        training.fit(options, tmp_path)
    training.fit(options, tmp_path, resume=True)
    ours, theirs = (checkpoint.load(Run(run).checkpoint) for run in (tmp_path, finished_run))
    assert ours["step"] == theirs["step"] == 10
    assert all(values.equal(theirs["average"][name]) for name, values in ours["average"].items())
