"""How the learning rates fall. A function of the step alone, so that a run goes on exactly."""


def pace(step: int, steps: int, decay_from: float) -> float:
    """The share of its learning rate that step number ``step``, from 0, of ``steps`` is done with.

    1 until the share ``decay_from`` of the run is done, from there on a straight line to 0, which
    would be reached by the step after the last.
    """
    decaying = steps * (1 - decay_from)
    return 1.0 if steps - step >= decaying else (steps - step) / decaying
