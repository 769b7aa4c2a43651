"""Compares the averaged generator of a run, which is published, with that of the last weights."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from training.gan.conditional import Rows
from training.gan.pixels import to_pixels


def warnings(averaged: nn.Module, last: nn.Module, rows: Rows) -> Iterator[str]:
    """A warning if the images of ``rows`` by both networks, in eval mode, differ grossly.

    That is by more, in the mean over all pixels, than the images of different seeds do.
    """
    images, others = (
        to_pixels(network, torch.from_numpy(rows)).astype(np.float64)
        for network in (averaged, last)
    )
    difference = np.abs(images - others).mean()
    usual = np.abs(images - np.roll(images, 1, axis=0)).mean()
    if difference > usual:
        yield (
            f"warning: the images of the averaged weights differ by {difference:.1f} grey levels "
            f"from those of the last weights, and by {usual:.1f} from each other: the average "
            "still holds weights of the beginning. Look at samples.png; if it is poor, continue "
            "the run with --resume --epochs, or begin one with a lower --average-decay"
        )
