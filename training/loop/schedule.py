"""The learning-rate schedule: a function of the step alone, so that a resumed run repeats it."""


def rate_factor(step: int, steps: int, decay_from: float) -> float:
    """The factor of the learning rate at number ``step``, counted from 0, of ``steps``.

    It is 1 until the share ``decay_from`` of the run is done. From there it falls in a straight
    line to 0, which the step after the last one would reach.
    """
    decaying = steps * (1 - decay_from)
    return 1.0 if steps - step >= decaying else (steps - step) / decaying
