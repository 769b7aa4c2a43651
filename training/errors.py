"""Errors that the command line reports without a traceback.

TrainingError                 base class; its text is the whole message
├── DataError                 a data set that is missing, damaged, too small or cannot be made
├── RunError                  a run folder that cannot be created, resumed or read
├── StoppedError              a run that a signal has stopped
├── DivergedError             losses that are huge, or losses or weights that are not finite
├── CollapsedError            a discriminator that has won permanently
├── ExportError               a generator that cannot be published
└── EvaluationError           a generator that cannot be evaluated
"""


class TrainingError(Exception):
    """A failure that the user can fix. The command line prints it and exits with status 1."""


class DataError(TrainingError):
    """A data set that is missing, damaged, too small or cannot be made."""


class RunError(TrainingError):
    """A run folder that cannot be created, resumed or read."""


class StoppedError(TrainingError):
    """A run that a signal has stopped; its text says what was saved and how to continue.

    ``status`` is the exit status of the process.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class DivergedError(TrainingError):
    """Losses that are huge, or losses or weights that are not finite."""


class CollapsedError(TrainingError):
    """A discriminator that has won permanently."""


class ExportError(TrainingError):
    """A generator that cannot be published."""


class EvaluationError(TrainingError):
    """A generator that cannot be evaluated."""
