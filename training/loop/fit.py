"""The ``fit`` command: one run from its data to its last epoch."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from tqdm import tqdm

from app.runtime.cpus import available
from training import config
from training.config import Config
from training.data import datasets
from training.data.conditions import conditions
from training.data.download_progress import DownloadProgress
from training.data.images import ImageSet
from training.data.skipped import SkipReport
from training.errors import RunError
from training.gan.gan import Gan
from training.gan.process_group import ProcessGroup
from training.loop import checkpoint, device, execution
from training.loop.collapse import CollapseDetector
from training.loop.distributed import check_batch_size, joined_group, main_first
from training.loop.epochs import TrainingData, steps_per_epoch, train
from training.run.display import Display
from training.run.journal import SCORE, DataSummary, Run
from training.run.report import Report

Score: TypeAlias = Callable[[nn.Module], float]
"""Scores an averaged generator; lower is better. It uses no random numbers of the run."""
MakeScore: TypeAlias = Callable[[Config, ImageSet, torch.device], Score]
"""Makes the ``Score`` of a run, if its options ask for scores."""


def fit(out: Path, flags: dict[str, Any], resume: bool, make_score: MakeScore) -> None:
    """Train in the folder ``out``: a new run with ``flags``, or with ``resume`` the run there.

    If ``torchrun`` started several processes, this is one of them. All of them train; the main
    process writes the run folder.
    """
    run = Run(out)
    options = config.resumed(run.config(), flags) if resume else config.from_flags(flags)
    torch.set_num_threads(options.threads or min(torch.get_num_threads(), available()))
    with joined_group(device.resolve(options.device)) as (group, own_device):
        check_batch_size(group, options.batch_size)
        image_set = _load(options, group)
        data = DataSummary.of(image_set)
        if resume and data != run.data():
            raise RunError(f"{out}: the run began with other data: {run.data().contrast(data)}")
        steps = steps_per_epoch(data.images, options.batch_size) * options.epochs
        gan = Gan(options, data.shape, own_device, group, data.sampler)
        execution.check(gan, options.execution)
        scored = options.score_every and group.is_main
        score = make_score(options, image_set, own_device) if scored else None
        if resume:
            _resume(run, gan, steps)
        elif group.is_main:
            run.create(options, data)
        device.tune_convolutions(own_device)
        notify = tqdm.write if group.is_main else execution.ignore
        images = device.place_images(image_set.pixels, own_device, notify)
        training_data = TrainingData(images, _conditions(image_set, images.device))
        if group.is_main:
            _train_and_record(run, gan, training_data, steps, score)
        else:
            for _ in train(gan, training_data, steps):
                pass  # the main process receives the same reports


def _conditions(image_set: ImageSet, where: torch.device) -> Tensor | None:
    if image_set.labels is None:
        return None
    return torch.from_numpy(conditions(image_set.labels)).to(where)


def _load(options: Config, group: ProcessGroup) -> ImageSet:
    with main_first(group), DownloadProgress(shown=group.is_main) as progress:
        skipped = SkipReport(_warn if group.is_main else execution.ignore)
        found = datasets.load(options, progress, skipped)
    if group.is_main and options.folder:
        for line in skipped.table(found):
            _warn(line)
    return found


def _resume(run: Run, gan: Gan, steps: int) -> None:
    if run.checkpoint.exists():  # otherwise the run was interrupted in its first epoch
        gan.load_state_dict(checkpoint.load(run.checkpoint))
    if gan.step > steps:
        raise RunError(f"--epochs {gan.config.epochs}: the run has done more epochs already")
    if gan.group.is_main:
        run.rewind(gan.step)
        run.write_options(gan.config)


def _train_and_record(
    run: Run, gan: Gan, data: TrainingData, steps: int, score: Score | None
) -> None:
    options = gan.config
    detector = CollapseDetector(options.collapse_epochs, gan.step)
    began = time.perf_counter()
    with (
        Display(run, options, gan.step) as display,
        tqdm(total=steps, initial=gan.step, unit="step") as bar,
    ):
        for report in train(gan, data, steps, notify=tqdm.write):
            bar.update(report.step - bar.n)
            bar.set_postfix_str(_line(report))
            if not report.epoch_done:
                continue
            last = report.step == steps
            generator = gan.averaged_generator()
            run.write_samples(generator, options, gan.sampler, report.epoch)
            score_due = last or report.epoch % (options.score_every or 1) == 0
            value = score(generator) if score and score_due else None
            best = value is not None and value < run.best_score()
            hardware = device.describe(gan.device, options.precision)
            run.write_epoch(report, time.perf_counter() - began, hardware, value)
            # Before the checkpoints: a run interrupted in between repeats this epoch.
            display.epoch(report)
            if best:  # before the last one: a run interrupted in between repeats the score
                checkpoint.save(gan.state_dict(), run.best_checkpoint)
            if not detector.update(report) or last:
                checkpoint.save(gan.state_dict(), run.checkpoint)
            tqdm.write(
                f"epoch {report.epoch}/{options.epochs}: {_line(report)}{_scored(value, best)}"
            )
            began = time.perf_counter()


def _line(report: Report) -> str:
    return (
        f"D {report.discriminator_loss:.3f} G {report.generator_loss:.3f} "
        f"real {report.accuracy_real:.0%} fake {report.accuracy_fake:.0%} "
        f"{report.images_per_second:.0f} img/s"
    )


def _scored(value: float | None, best: bool) -> str:
    return "" if value is None else f" {SCORE} {value:.3g}{', the best' if best else ''}"


def _warn(line: str) -> None:
    tqdm.write(line, file=sys.stderr)
