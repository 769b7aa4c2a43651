"""The pictures of a run while it trains: curves and, at its end, the animation.

No result depends on them, so if drawing fails, a warning is printed and the training continues.
"""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tqdm import tqdm

from app.artifact import atomic_files
from training.config import Config
from training.run import animation
from training.run.journal import Run


class Display:
    """Draws into a run's folder. As a context manager it finishes with the animation."""

    def __init__(self, run: Run, config: Config) -> None:
        self._run, self._config = run, config

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        if kind is None:
            self._attempt(self._animate)
        elif self._run.epochs():
            self._attempt(self._draw_curves)  # those of the last epoch may be missing

    def epoch(self) -> None:
        """Show an epoch whose line is in the folder."""
        self._attempt(self._draw_curves)

    def _draw_curves(self) -> None:
        from training.run import curves  # imports matplotlib, which takes a while

        epochs = self._run.epochs()
        atomic_files.write(self._run.losses, curves.losses(epochs, self._config.loss))
        atomic_files.write(self._run.accuracy, curves.accuracy(epochs))

    def _animate(self) -> None:
        if grids := list(self._run.sheets().items()):
            atomic_files.write(self._run.animation, animation.gif(grids))

    @staticmethod
    def _attempt(draw: Callable[[], None]) -> None:
        try:
            draw()
        except Exception as error:  # noqa: BLE001 no failure here may cost hours of training
            reason = f"{type(error).__name__}: {error}"
            tqdm.write(f"warning: a picture of the run cannot be drawn: {reason}", file=sys.stderr)
