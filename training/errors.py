"""What the trainer tells a person instead of a stack trace.

TrainingError                 anything below; its text is the whole message
├── DataError                 a data set that is missing, damaged, too small or cannot be made
├── RunError                  a run folder that cannot be begun, resumed or read
├── DivergedError             losses or weights that are no longer numbers
├── CollapsedError            a discriminator that has won for good
├── ExportError               a generator that cannot become a served version
└── EvaluationError           a generator that cannot be measured
"""


class TrainingError(Exception):
    """A failure whose cause a person can mend. The command line prints it and exits with 1."""


class DataError(TrainingError):
    """A data set that is missing, damaged, too small or cannot be made."""


class RunError(TrainingError):
    """A run folder that cannot be begun, resumed or read."""


class DivergedError(TrainingError):
    """Losses or weights that are no longer numbers."""


class CollapsedError(TrainingError):
    """A discriminator that has won for good."""


class ExportError(TrainingError):
    """A generator that cannot become a served version."""


class EvaluationError(TrainingError):
    """A generator that cannot be measured."""
