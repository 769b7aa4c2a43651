"""A run in MLflow, at the place that MLflow's own variables name, such as MLFLOW_TRACKING_URI."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from training.run.journal import Run
from training.run.tracker import SAMPLES, Ending, TrackedEpoch

NAME: Final = "mlflow"
EXPERIMENT: Final = "dcgan"
"""The experiment, unless MLFLOW_EXPERIMENT_NAME names another one."""
MOST_METRICS: Final = 1000
"""The largest number of metrics in one call of MLflow's API."""
_STATUS: Final[dict[Ending, str]] = {
    "finished": "FINISHED",
    "stopped": "KILLED",
    "failed": "FAILED",
}


class MlflowRun:
    """Logs to one run of MLflow, which a resumed run continues."""

    def __init__(self, run: Run, options: Mapping[str, Any], step: int) -> None:
        """Create the run, or continue the one that the folder of ``run`` names."""
        del step  # metrics that are logged again stay beside the earlier ones
        self._client = MlflowClient()
        options = {name: str(value) for name, value in options.items()}
        known = run.tracker_runs().get(NAME)
        self._id = self._continued(known, options) if known else self._created(run, options)
        run.keep_tracker_run(NAME, self._id)

    @property
    def place(self) -> str:
        """Where the run is found, as text."""
        return f"MLflow run {self._id} at {self._client.tracking_uri}"

    def log(self, epochs: Sequence[TrackedEpoch]) -> None:
        """Log figures as metrics, by step, and sample sheets as artifacts."""
        metrics = [*_metrics(epochs)]
        for first in range(0, len(metrics), MOST_METRICS):
            self._client.log_batch(self._id, metrics[first : first + MOST_METRICS])
        for epoch in epochs:
            if epoch.grid:
                self._client.log_artifact(self._id, str(epoch.grid), SAMPLES)

    def finish(self, ending: Ending, summary: Mapping[str, float]) -> None:
        """Log the summary as tags, and end the run."""
        for name, value in summary.items():
            self._client.set_tag(self._id, f"summary.{name}", value)
        self._client.set_terminated(self._id, _STATUS[ending])

    def _created(self, run: Run, options: Mapping[str, str]) -> str:
        """The identifier of a new run with ``options`` as its parameters."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        created = self._client.create_run(experiment, run_name=run.folder.resolve().name)
        identifier = str(created.info.run_id)
        self._client.log_batch(identifier, params=[Param(*option) for option in options.items()])
        return identifier

    def _continued(self, identifier: str, options: Mapping[str, str]) -> str:
        """Continue a run; returns its ``identifier``. Tags say which parameters have changed."""
        before = self._client.get_run(identifier).data.params
        for name, value in options.items():
            if before.get(name, value) != value:
                self._client.set_tag(identifier, f"resumed.{name}", value)
        self._client.update_run(identifier, "RUNNING")
        return identifier


def _metrics(epochs: Sequence[TrackedEpoch]) -> Iterator[Metric]:
    now = int(1000 * time.time())
    for epoch in epochs:
        for name, value in {"epoch": epoch.number, **epoch.figures}.items():
            yield Metric(name, value, now, epoch.step)
