"""The trackers of a run, which ``--track`` names.

No result depends on them: the first failure of a tracker ends it with a warning, and the training
continues.
"""

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from tqdm import tqdm

from training.config import Config
from training.errors import StoppedError
from training.run.journal import SCORE, Run
from training.run.tracker import Ending, TrackedEpoch, Tracker

_MLFLOW: Final = {
    # A server that cannot be reached would hold up the training for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    # As everything here: nobody is contacted who was not asked for.
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Variables of MLflow, unless they are set."""

Open: TypeAlias = Callable[[Run, dict[str, Any], int], Tracker]
"""Opens a tracker for a run with its options, after a step."""


class Trackers:
    """All trackers of a run. As a context manager it opens them, and ends them with a summary."""

    def __init__(self, run: Run, config: Config, names: Sequence[str], step: int) -> None:
        """Continue after ``step`` with the trackers of these ``names``."""
        self._run, self._config, self._names, self._step = run, config, names, step
        self._open: dict[str, Tracker] = {}
        self._waiting: list[TrackedEpoch] = []

    def __enter__(self) -> Self:
        for name in self._names:
            self._attempt(name, partial(self._begin, name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        self._send()
        ending, summary = _ending(kind), self._summary()
        for name, tracker in [*self._open.items()]:
            self._attempt(name, partial(tracker.finish, ending, summary))

    def epoch(self, epoch: TrackedEpoch, *, send: bool) -> None:
        """Log an epoch: with ``send`` now, else with the next one that is sent."""
        self._waiting.append(epoch)
        if send:
            self._send()

    def _begin(self, name: str) -> None:
        tracker = _opener(name)(self._run, self._run.public_options(self._config), self._step)
        self._open[name] = tracker
        if tracker.place:
            tqdm.write(tracker.place)

    def _send(self) -> None:
        epochs, self._waiting = self._waiting, []
        if epochs:
            for name, tracker in [*self._open.items()]:
                self._attempt(name, partial(tracker.log, epochs))

    def _summary(self) -> dict[str, float]:
        epochs = self._run.epochs()
        if not epochs:
            return {}
        found = {"epochs": epochs[-1]["epoch"], "steps": epochs[-1]["step"]}
        found["seconds"] = round(sum(line["seconds"] for line in epochs), 1)
        for line in epochs:
            if line.get(SCORE) == self._run.best_score():
                found |= {f"best_{SCORE}": line[SCORE], "best_epoch": line["epoch"]}
        return found

    def _attempt(self, name: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 no failure here may cost hours of training
            self._open.pop(name, None)
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            tqdm.write(
                f"warning: {name} no longer tracks this run, which continues: {reason}",
                file=sys.stderr,
            )


def _ending(kind: type[BaseException] | None) -> Ending:
    if kind is None:
        return "finished"
    return "stopped" if issubclass(kind, StoppedError | KeyboardInterrupt) else "failed"


def _opener(name: str) -> Open:
    """The class of a tracker; its library is imported only here."""
    if name == "mlflow":
        for variable, value in _MLFLOW.items():
            os.environ.setdefault(variable, value)

        from training.run.mlflow import MlflowRun

        return MlflowRun
    if name == "wandb":
        from training.run.wandb import WandbRun

        return WandbRun
    from training.run.tensorboard import Events

    return Events
