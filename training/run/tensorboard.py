"""TensorBoard events of a run, in its folder."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from app.artifact.version_key import printable
from training.run.journal import Run
from training.run.tracker import SAMPLES, Ending, TrackedEpoch


class Events:
    """Writes events: one file for each time that the run is started or resumed."""

    def __init__(self, run: Run, options: Mapping[str, Any], step: int) -> None:
        """Continue after ``step``: later events, of an interrupted run, are no longer shown."""
        from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

        self._step = step
        self._writer = SummaryWriter(str(run.events), purge_step=step + 1)
        self._write_table("options", options)

    @property
    def place(self) -> str:
        """Empty, as the events are in the run's folder."""
        return ""

    def log(self, epochs: Sequence[TrackedEpoch]) -> None:
        """Write figures and sample sheets, and flush the file."""
        for epoch in epochs:
            self._step = epoch.step
            for tag, value in epoch.figures.items():
                self._writer.add_scalar(tag, value, epoch.step)
            if epoch.grid:
                with Image.open(epoch.grid) as image:
                    grid = np.asarray(image)
                pixels = grid.reshape(*grid.shape[:2], -1)
                self._writer.add_image(SAMPLES, pixels, epoch.step, dataformats="HWC")
        self._writer.flush()

    def finish(self, ending: Ending, summary: Mapping[str, float]) -> None:
        """Write the summary and close the file."""
        self._write_table("summary", {"ending": ending, **summary})
        self._writer.close()

    def _write_table(self, tag: str, values: Mapping[str, Any]) -> None:
        """Write ``values`` as a table in Markdown."""
        rows = (f"| {name} | {printable(str(value))} |" for name, value in values.items())
        text = "\n".join(["| name | value |", "| --- | --- |", *rows])
        self._writer.add_text(tag, text, self._step)
