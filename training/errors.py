"""Errors that the command line reports without a traceback.

TrainingError                 base class; its text is the whole message
├── DataError                 a data set that is missing, damaged, too small or cannot be made
├── RunError                  a run folder that cannot be created, resumed or read
├── DivergedError             losses or weights that are no longer finite
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


class DivergedError(TrainingError):
    """Losses or weights that are no longer finite."""


class CollapsedError(TrainingError):
    """A discriminator that has won permanently."""


class ExportError(TrainingError):
    """A generator that cannot be published."""


class EvaluationError(TrainingError):
    """A generator that cannot be evaluated."""
