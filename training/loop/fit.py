"""``fit``: one run from its data to its last epoch."""

import sys
import time
from pathlib import Path
from typing import Any, Self

import torch
from tqdm import tqdm

from app.runtime.cpus import available
from training import config
from training.config import Config
from training.data import datasets
from training.data.images import ImageSet
from training.errors import RunError
from training.evaluation import scoring
from training.evaluation.scoring import Score
from training.gan.step import Trainer
from training.loop import checkpoint, device, execution
from training.loop.collapse import Watch
from training.loop.distributed import Group, joined
from training.loop.epochs import steps_an_epoch, train
from training.run.display import Display
from training.run.journal import SCORE, Data, Run
from training.run.report import Report


def fit(out: Path, flags: dict[str, Any], resume: bool) -> None:
    """Train in the folder ``out``: a new run with ``flags``, or, with ``resume``, the one there.

    Where ``torchrun`` started several processes, this is one of them: all train, one writes.
    """
    run = Run(out)
    options = config.resumed(run.config(), flags) if resume else config.from_flags(flags)
    torch.set_num_threads(options.threads or min(torch.get_num_threads(), available()))
    with joined(device.resolve(options.device)) as (group, where):
        group.check(options.batch_size)
        image_set = _load(options, group)
        data = Data.of(image_set)
        if resume and data != run.data():
            raise RunError(f"{out}: began with other data than these: {run.data()} is not {data}")
        steps = steps_an_epoch(data.images, options.batch_size) * options.epochs
        trainer = Trainer(options, data.shape, where, group)
        execution.check(trainer, options.execution)
        scored = options.score_every and group.leads
        score = scoring.scorer(options, image_set, where) if scored else None
        if resume:
            _go_on(run, trainer, steps)
        elif group.leads:
            run.begin(options, data)
        device.choose_algorithms(where)
        pixels = device.resident(
            image_set.pixels, where, tqdm.write if group.leads else execution.untold
        )
        if group.leads:
            _epochs(run, trainer, pixels, steps, score)
        else:
            for _ in train(trainer, pixels, steps):
                pass  # the leader tells the same


def _load(options: Config, group: Group) -> ImageSet:
    with group.leader_first(), Downloads(shown=group.leads) as downloads:
        return datasets.load(options, downloads, _told if group.leads else _untold)


def _go_on(run: Run, trainer: Trainer, steps: int) -> None:
    if run.checkpoint.exists():  # else the run was cut off in its first epoch
        trainer.load_state_dict(checkpoint.load(run.checkpoint))
    if trainer.step > steps:
        raise RunError(f"--epochs {trainer.config.epochs}: the run is past that already")
    if trainer.group.leads:
        run.rewind(trainer.step)
        run.write_options(trainer.config)


def _epochs(
    run: Run, trainer: Trainer, pixels: torch.Tensor, steps: int, score: Score | None
) -> None:
    options = trainer.config
    watch, began = Watch(options.collapse_epochs, trainer.step), time.perf_counter()
    with (
        Display(run, options, trainer.step) as display,
        tqdm(total=steps, initial=trainer.step, unit="step") as bar,
    ):
        for report in train(trainer, pixels, steps, tell=tqdm.write):
            bar.update(report.step - bar.n)
            bar.set_postfix_str(_line(report))
            if not report.epoch_done:
                continue
            generator = trainer.finished_generator()
            run.draw(generator, options, report.epoch)
            due = report.step == steps or report.epoch % (options.score_every or 1) == 0
            found = score(generator) if score and due else None
            best = found is not None and found < run.least_score()
            where = device.described(trainer.device, options.precision)
            run.record(report, time.perf_counter() - began, where, found)
            # Before the checkpoints: a run cut off in between repeats the epoch and draws it anew.
            display.epoch(report)
            if best:  # before the last one: a run cut off in between will find it once more
                checkpoint.save(trainer.state_dict(), run.best)
            if not watch.lost(report) or report.step == steps:
                checkpoint.save(trainer.state_dict(), run.checkpoint)
            told = "" if found is None else f" {SCORE} {found:.3g}{', the best' if best else ''}"
            tqdm.write(f"epoch {report.epoch}/{options.epochs}: {_line(report)}{told}")
            began = time.perf_counter()


def _line(report: Report) -> str:
    return (
        f"D {report.discriminator_loss:.3f} G {report.generator_loss:.3f} "
        f"real {report.accuracy_real:.0%} fake {report.accuracy_fake:.0%} "
        f"{report.images_per_second:.0f} img/s"
    )


def _told(path: Path, reason: str) -> None:
    tqdm.write(f"warning: {path}: skipped: {reason}", file=sys.stderr)


def _untold(path: Path, reason: str) -> None:
    pass


class Downloads:
    """A progress bar for each file that is downloaded and each folder that is read."""

    def __init__(self, shown: bool = True) -> None:
        self._shown = shown
        self._bars: dict[str, tqdm[Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for bar in self._bars.values():
            bar.close()

    def __call__(self, name: str, so_far: int, total: int) -> None:
        """Move the bar of ``name`` on to ``so_far`` bytes."""
        if name not in self._bars:
            self._bars[name] = tqdm(
                total=total, desc=name, unit="B", unit_scale=True, disable=not self._shown
            )
        self._bars[name].update(so_far - self._bars[name].n)
