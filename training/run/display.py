"""The display of a run while it trains: curves, events and, at its end, the animation.

None of it decides anything, so a failure to draw is told and the training goes on.
"""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image
from tqdm import tqdm

from app.artifact import atomic_files
from app.imaging.sheets import Pixels
from training.config import Config
from training.run import animation
from training.run.journal import Run
from training.run.report import Report
from training.run.tensorboard import Events

_SHARE = 0.1
"""Of the time, that drawing curves may take: a GPU does an epoch in less than they do."""


class Display:
    """What is drawn into a run's folder. As a context it ends with the animation."""

    def __init__(self, run: Run, config: Config, step: int) -> None:
        """Goes on after ``step``."""
        self._run, self._config, self._step = run, config, step
        self._events: Events | None = None
        self._due, self._stale = 0.0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        if self._events:
            self._attempt(self._events.close)
        if self._stale:
            self._attempt(self._curves)
        if kind is None:
            self._attempt(self._animate)

    def epoch(self, report: Report) -> None:
        """Show an epoch, whose line and samples are in the folder; its curves may come later."""
        began = time.monotonic()
        self._stale = began < self._due
        if not self._stale:
            self._attempt(self._curves)
            self._due = began + (time.monotonic() - began) / _SHARE
        self._attempt(lambda: self._write(report))

    def _write(self, report: Report) -> None:
        if self._events is None:  # not before: a finished run that goes on stays as it is
            self._events = Events(self._run.events, self._step)
        with Image.open(self._run.samples(report.epoch)) as image:
            grid: Pixels = np.asarray(image)
        self._events.write(report, grid.reshape(*grid.shape[:2], -1))

    def _curves(self) -> None:
        from training.run import curves  # which loads matplotlib

        epochs = self._run.epochs()
        atomic_files.write(self._run.losses, curves.losses(epochs, self._config.loss))
        atomic_files.write(self._run.accuracy, curves.accuracy(epochs))

    def _animate(self) -> None:
        numbers = [line["epoch"] for line in self._run.epochs()]
        grids = [(number, self._run.samples(number)) for number in numbers]
        if grids:
            atomic_files.write(self._run.animation, animation.gif(grids))

    @staticmethod
    def _attempt(draw: Callable[[], None]) -> None:
        try:
            draw()
        except Exception as error:  # noqa: BLE001 whatever it is, hours of training outweigh it
            words = f"{type(error).__name__}: {error}"
            tqdm.write(f"warning: the run is not drawn: {words}", file=sys.stderr)
