"""What ``import training`` offers: ``training.fit`` and its options, ``training.Config``.

>>> import training
>>> training.Config(dataset="folder:pictures", epochs=20).epochs
20
"""

from pathlib import Path

from training.config import Config
from training.run.report import OnReport, ignore_report


def fit(
    options: Config,
    out: str | Path,
    *,
    progress: OnReport = ignore_report,
    resume: bool = False,
) -> Path:
    """Train in the folder ``out``, as ``python -m training fit`` does; returns the folder.

    ``options`` are complete: a preset has no part in them, unless ``training.from_flags`` made
    them. With ``resume`` they continue the run in ``out``. An exception that ``progress`` raises
    ends the run; it may be resumed from its last checkpoint.

    Raises TrainingError, whose text names what is wrong; in the main thread also StoppedError after
    SIGINT or SIGTERM, once the run is saved.
    """
    from training.evaluation.scoring import scorer
    from training.export.initial_weights import begin
    from training.export.teacher import find
    from training.loop import fit as loop

    hooks = loop.Hooks(scorer, begin, find, progress)
    loop.fit(Path(out), options.model_dump(), resume, hooks)
    return Path(out)
