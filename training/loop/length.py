"""The length of a run in epochs and steps.

An epoch shows every image once. Where its last batch is not full, the next epoch's first images
fill it: no image is left out, and all batches have the same shape, as a CUDA graph needs.
"""

from training.config import Config
from training.errors import DataError
from training.presets import PRESETS

ENOUGH = 0.1
"""Share of the images for which a preset is made, below which a run will hardly learn."""


def check_count(count: int, batch_size: int) -> None:
    """Raise DataError if ``count`` images are fewer than one batch."""
    if count < batch_size:
        raise DataError(f"{count} images are fewer than one batch of {batch_size}")


def epochs_of(options: Config, count: int) -> int:
    """The epochs of a run on ``count`` images: as many as ``images_seen`` takes, unless given."""
    return options.epochs or -(-options.images_seen // count)


def steps_of(epochs: int, count: int, batch_size: int) -> int:
    """The steps in which ``epochs`` epochs on ``count`` images end."""
    return -(-epochs * count // batch_size)


def epochs_done(step: int, count: int, batch_size: int) -> int:
    """The epochs of ``count`` images that have ended after ``step`` steps."""
    return step * batch_size // count


def shortage(options: Config, count: int) -> str:
    """A warning if the run sees far fewer images than its preset needs, with what mends it.

    Empty if it sees enough of them.
    """
    defaults = PRESETS[options.preset]
    needed: int = defaults.get("images_seen", Config.model_fields["images_seen"].default)
    epochs = epochs_of(options, count)
    if epochs * count >= ENOUGH * needed:
        return ""
    return (
        f"warning: the run shows {epochs * count:,} images (epochs × images: {epochs} × {count}), "
        f"of which the networks will hardly learn: --preset {options.preset} is made for "
        f"{needed:,}. Use --epochs {-(-needed // count)}"
    )
