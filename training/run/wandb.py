"""A run in Weights & Biases, with wandb's own settings, such as WANDB_MODE and WANDB_PROJECT."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import wandb

from training.run.journal import Run
from training.run.tracker import SAMPLES, Ending, TrackedEpoch

NAME: Final = "wandb"


class WandbRun:
    """Logs to one run of wandb, which a resumed run continues, with files in the run folder."""

    def __init__(self, run: Run, options: Mapping[str, Any], step: int) -> None:
        """Create the run, or continue the one that the folder of ``run`` names."""
        del step  # figures are shown by their epoch
        self._id = run.tracker_runs().get(NAME) or secrets.token_hex(4)
        self._run: Any = wandb.init(
            id=self._id,
            resume="allow",
            reinit="create_new",  # not a run that the caller has begun
            name=run.folder.resolve().name,
            dir=str(run.folder),
            config=dict(options),
            settings=wandb.Settings(console="off"),  # it would record the progress bar
        )
        # Steps may not go back, as those of a resumed run do.
        self._run.define_metric("*", step_metric="epoch")
        run.keep_tracker_run(NAME, self._id)

    @property
    def place(self) -> str:
        """Where the run is found, as text."""
        return f"wandb run {self._id}"

    def log(self, epochs: Sequence[TrackedEpoch]) -> None:
        """Log figures and sample sheets."""
        for epoch in epochs:
            grid = {SAMPLES: wandb.Image(str(epoch.grid))} if epoch.grid else {}
            values = {"epoch": epoch.number, "step": epoch.step}
            self._run.log({**values, **epoch.figures, **grid})

    def finish(self, ending: Ending, summary: Mapping[str, float]) -> None:
        """Log the summary, and end the run."""
        self._run.summary.update({"ending": ending, **summary})
        self._run.finish(exit_code=int(ending == "failed"))
