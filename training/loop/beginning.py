"""What a run begins with, checked before torch is imported and before data is read."""

from pathlib import Path
from typing import Any, NamedTuple

from training import config
from training.config import Config
from training.data import datasets
from training.errors import RunError
from training.gan.teacher import Teacher
from training.loop import teaching
from training.loop.teaching import FindTeacher
from training.run.journal import Run
from training.run.tracker_library import check_installed


class Beginning(NamedTuple):
    """A run whose options fit each other."""

    run: Run
    options: Config
    teacher: Teacher | None


def begin(out: Path, flags: dict[str, Any], resume: bool, find_teacher: FindTeacher) -> Beginning:
    """The run in ``out`` with ``flags``: a new one, or with ``resume`` the one that is there.

    Raises TrainingError if the options contradict each other, or if a folder or a file that they
    name is missing or of another kind; ValidationError for invalid flags.
    """
    run = Run(out)
    if resume:
        _check_can_resume(run)
        options = config.resumed(run.config(), flags)
    else:
        options = config.from_flags(flags)
        run.check_is_new()
    check_installed(options.trackers)
    if options.freeze_discriminator and not options.init_from:
        raise RunError(
            f"--freeze-discriminator {options.freeze_discriminator}: needs --init-from, to keep "
            "its weights"
        )
    datasets.check(options)
    teacher = teaching.find(options, find_teacher)
    if teacher and resume:
        teaching.check_same(teacher, options, run)
    return Beginning(run, options, teacher)


def _check_can_resume(run: Run) -> None:
    if not run.options.exists():
        raise RunError(
            f"--resume: no run in {run.folder}; name the folder of one with --out, or begin one "
            "without --resume"
        )
