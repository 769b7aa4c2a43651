"""The comparison of averaged and last weights, with generators whose images are known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.export import average_check

ROWS = np.array([[-0.5], [0.5], [-0.5], [0.5]], dtype=np.float32)
"""Latents whose neighbours differ by 1, which is 127.5 grey levels."""


class Flat(nn.Module):
    """Draws images of one grey: the latent, shifted."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, rows: Tensor) -> Tensor:
        return (rows[:, :, None, None] + self.shift).expand(-1, 1, 4, 4)


def test_a_generator_is_near_itself() -> None:
    assert list(average_check.warnings(Flat(0.1), Flat(0.1), ROWS)) == []


@pytest.mark.parametrize("shift", [0.4, -0.4])
def test_a_difference_smaller_than_that_of_seeds_is_usual(shift: float) -> None:
    assert list(average_check.warnings(Flat(0), Flat(shift), ROWS)) == []


def test_a_difference_larger_than_that_of_seeds_is_told_with_advice() -> None:
    class Grey(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            return torch.full((len(rows), 1, 4, 4), -0.5)

    (line,) = average_check.warnings(Grey(), Flat(0.25), ROWS)
    # Between the pixels 64 and 96, and between 64 and 223.
    assert "differ by 95.5 grey levels from those of the last weights, and by 0.0 from" in line
    assert "lower --average-decay" in line
