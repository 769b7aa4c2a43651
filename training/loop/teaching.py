"""Distillation in a run: whether a teacher fits the run, and that it stays the same."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from app.latent.conditions import ClassSampler, Sampler
from training.config import Config
from training.errors import RunError
from training.gan.teacher import Teacher
from training.image_size import ImageSize
from training.run.journal import DataSummary, Run

FindTeacher: TypeAlias = Callable[[Path], Teacher]
"""Finds the generator of a run or of a published model. Raises RunError if there is none."""


def find(options: Config, finder: FindTeacher) -> Teacher | None:
    """The teacher that ``options`` name, if any. Raises RunError unless its latents are theirs."""
    if options.teacher is None:
        default = Config.model_fields["teacher_weight"].default
        if options.teacher_weight != default:
            raise RunError(f"--teacher-weight {options.teacher_weight:g}: needs --teacher")
        return None
    teacher = finder(options.teacher)
    width, prior = teacher.latent.width, teacher.latent.prior
    if width != options.latent_dim:
        raise _misfit(
            options,
            f"its latents have {width} numbers, here {options.latent_dim}",
            f"--latent-dim {width}",
        )
    if prior != options.prior:
        raise _misfit(options, f"its latents are {prior}, here {options.prior}", f"--prior {prior}")
    return teacher


def check_images(teacher: Teacher, options: Config, data: DataSummary) -> None:
    """Raise RunError unless ``teacher`` draws images as in ``data``, of the same labels."""
    theirs, ours = teacher.image_shape, data.shape
    if theirs[0] != ours[0]:
        raise _misfit(options, f"its images are {_colour(theirs)}, here {_colour(ours)}")
    if theirs != ours:
        size = ImageSize.of_shape(theirs)
        raise _misfit(
            options,
            f"its images have {size.width}×{size.height} pixels, here {data.width}×{data.height}",
            f"--image-size {size}",
        )
    if _labels(teacher.sampler) != _labels(data.sampler):
        fitting = "auto" if teacher.sampler else "none"
        raise _misfit(
            options,
            f"it takes {_labels(teacher.sampler)}, this run {_labels(data.sampler)}",
            f"--conditional {fitting}" if "none" in {fitting, options.conditional} else "",
        )


def check_same(teacher: Teacher, options: Config, resumed: Run) -> None:
    """Raise RunError if the run that is ``resumed`` has had another teacher, or none, so far."""
    if resumed.config().teacher is None:
        raise RunError(
            f"--teacher {options.teacher} contradicts the run, which began with no --teacher"
        )
    before = resumed.teacher()
    if before and before.sha256 != teacher.sha256:
        raise _misfit(
            options,
            f"SHA-256 {teacher.sha256[:12]}… is not that of the run's teacher, {before.name}, "
            f"{before.sha256[:12]}…",
            "the teacher as it was, or begin a new run",
        )


def _misfit(options: Config, reason: str, advice: str = "") -> RunError:
    return RunError(f"--teacher {options.teacher}: {reason}{f'; use {advice}' if advice else ''}")


def _colour(shape: tuple[int, int, int]) -> str:
    return "grey" if shape[0] == 1 else "in colour"


def _labels(sampler: Sampler | None) -> str:
    if sampler is None:
        return "neither classes nor attributes"
    kind = "classes" if isinstance(sampler, ClassSampler) else "attributes"
    return f"the {kind} {', '.join(sampler.names)}"
