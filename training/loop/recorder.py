"""Records a run while it trains: a line for every epoch, pictures, scores and checkpoints."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from torch import nn
from tqdm import tqdm

from training.errors import StoppedError
from training.gan.gan import Gan
from training.loop import checkpoint, device
from training.loop.collapse import CollapseDetector
from training.loop.commands import export_command, resume_command
from training.loop.length import epochs_of
from training.loop.reporting import EpochSoFar, check_weights
from training.loop.stop_signals import StopSignals
from training.loop.time_share import TimeShare
from training.run import samples
from training.run.display import Display
from training.run.journal import SCORE, Run
from training.run.report import Report
from training.run.tracker import TrackedEpoch
from training.run.tracking import Trackers

Score: TypeAlias = Callable[[nn.Module], float]
"""Scores an averaged generator; lower is better. It uses no random numbers of the run."""

LOOKS_SHARE = 0.1
"""Largest share of the time for looking at the run: calibrating, drawing, plotting, saving."""


class Recorder:
    """Writes the folder of a run, in the main process.

    At the end of an epoch it looks at the run if that is due: it calibrates the averaged generator,
    draws samples and curves, and saves a checkpoint. It always does so at the end of the run.
    """

    def __init__(self, run: Run, gan: Gan, epoch: EpochSoFar, images: int, steps: int) -> None:
        """Record ``run``, which trains ``gan`` on ``images`` images until ``steps``."""
        self._run, self._gan, self._epoch, self._steps = run, gan, epoch, steps
        self._epochs = epochs_of(gan.config, images)
        self._hardware = device.describe(gan.device, gan.config.precision)
        self._detector = CollapseDetector(gan.config.collapse_epochs, gan.step)
        self._looks, self._collapsed = TimeShare(LOOKS_SHARE), False
        self._saved = time.monotonic()
        self._began = 0.0
        """When the epoch began, had it not been interrupted."""

    def record(self, reports: Iterable[Report], score: Score | None, signals: StopSignals) -> None:
        """Train by consuming ``reports``. Raises StoppedError after a signal, once all is saved."""
        options, step = self._gan.config, self._gan.step
        # A run that is resumed at its end adds nothing.
        names = options.trackers if step < self._steps else ()
        with (
            Display(self._run, options) as display,
            Trackers(self._run, options, names, step) as trackers,
            tqdm(total=self._steps, initial=step, unit="step") as bar,
        ):
            # Neither the time between two sessions nor that until trackers are ready counts.
            self._began = time.perf_counter() - self._epoch.seconds
            for report in reports:
                bar.update(report.step - bar.n)
                bar.set_postfix_str(_line(report))
                if report.epoch_done:
                    self._end_epoch(report, display, trackers, score)
                if report.stopping and report.step < self._steps:
                    self._stop(report, signals)
                if not report.epoch_done and not self._collapsed and self._checkpoint_is_due():
                    check_weights(self._gan)
                    self._save()

    def _end_epoch(
        self, report: Report, display: Display, trackers: Trackers, score: Score | None
    ) -> None:
        last = report.step == self._steps
        # A run that has to stop saves first of all: it may be killed soon.
        look = last or (self._looks.is_due and not report.stopping)
        if not last and report.epoch % (self._gan.config.score_every or 1):
            score = None
        began, value, scoring = time.perf_counter(), None, 0.0
        if look or score:
            generator = self._gan.averaged_generator()
            if look:
                sampler = self._gan.sampler
                samples.write(self._run, generator, self._gan.config, sampler, report.epoch)
            if score:
                value, scoring = _timed(score, generator)
        best = value is not None and value < self._run.best_score()
        seconds = time.perf_counter() - self._began
        self._run.write_epoch(report, seconds, self._hardware, value)
        # Before the checkpoints: a run interrupted in between repeats this epoch.
        if look:
            display.epoch()
        grid = self._run.samples(report.epoch) if look else None
        trackers.epoch(TrackedEpoch.of(report, value, grid), send=look or value is not None)
        if best:  # before the last one: a run interrupted in between repeats the score
            self._write(self._run.best_checkpoint)
        self._collapsed = self._detector.update(report)
        if last or ((look or score) and not self._collapsed):
            self._save()
        if look:
            self._looks.spent(time.perf_counter() - began - scoring)
        if look or score:
            shown = f"epoch {report.epoch}/{self._epochs}: {_line(report)}{_scored(value, best)}"
            tqdm.write(shown)
        self._began = time.perf_counter()

    def _stop(self, report: Report, signals: StopSignals) -> None:
        check_weights(self._gan)
        self._save()
        folder = self._run.folder
        raise StoppedError(
            f"stopped after step {report.step} of {self._steps}, in epoch {report.epoch} of "
            f"{self._epochs}; saved {self._run.checkpoint}\n"
            f"continue with: {resume_command(folder, self._gan.group.size)}\n"
            f"or publish it as it is: {export_command(folder)}",
            signals.status,
        )

    def _checkpoint_is_due(self) -> bool:
        return time.monotonic() - self._saved >= 60 * self._gan.config.checkpoint_minutes

    def _save(self) -> None:
        self._write(self._run.checkpoint)
        self._saved = time.monotonic()

    def _write(self, path: Path) -> None:
        with self._run.writing(path):
            checkpoint.save({**self._gan.state_dict(), "epoch": self._epoch.state()}, path)


def _timed(score: Score, generator: nn.Module) -> tuple[float, float]:
    """The score, and the seconds that it took."""
    began = time.perf_counter()
    value = score(generator)
    return value, time.perf_counter() - began


def _line(report: Report) -> str:
    p = report.augment_probability
    augmented = "" if p is None else f"p {p:.3f} "
    distance = report.teacher_distance
    taught = "" if distance is None else f"teacher {distance:.3f} "
    return (
        f"D {report.discriminator_loss:.3f} G {report.generator_loss:.3f} {taught}"
        f"real {report.accuracy_real:.0%} fake {report.accuracy_fake:.0%} "
        f"{augmented}{report.images_per_second:.0f} img/s"
    )


def _scored(value: float | None, best: bool) -> str:
    return "" if value is None else f" {SCORE} {value:.3g}{', the best' if best else ''}"
