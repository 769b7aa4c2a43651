from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from training.gan.distillation import image_distance
from training.gan.gan import Gan


def test_the_distance_adds_that_of_pixels_and_that_of_means_of_four() -> None:
    taught = torch.zeros(2, 1, 4, 4)
    images = taught.clone()
    images[0, 0, 0, :2] = torch.tensor([0.5, -0.5])  # the mean of these four pixels is the same
    assert image_distance(images, taught).item() == pytest.approx(1 / 32)
    images[1] = -0.25  # seen on both scales, of half of all pixels
    assert image_distance(images, taught).item() == pytest.approx(1 / 32 + 2 * 0.125)
    assert image_distance(images, images).item() == 0


class Halves(nn.Module):
    """Draws images whose halves are as bright as the first two numbers of the latent say."""

    def forward(self, rows: Tensor) -> Tensor:
        return rows[:, :2].tanh()[:, None, None].repeat_interleave(8, dim=3).expand(-1, 1, 16, -1)


def test_a_student_approaches_its_teacher(make_gan: Callable[..., Gan]) -> None:
    # So large a weight leaves the adversarial loss no part in the direction of Adam's steps.
    options = {"generator_lr": 0.003, "teacher_weight": 1e6, "generator_filters": 4}
    taught, alone, teacher = make_gan(**options), make_gan(**options), Halves()
    taught.teacher = teacher
    distances = []
    for gan in (taught, alone):
        for _ in range(40):
            figures = gan.train_step(torch.full((4, 1, 16, 16), 128, dtype=torch.uint8))
            assert len(figures) == (4 if gan is alone else 5)
        rows = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
        if gan is taught:  # four images of this step, before it
            assert figures[4].item() < 0.5
        with torch.no_grad():
            distances.append(image_distance(gan.generator(rows), teacher(rows)).item())
    assert distances[0] < distances[1] / 2
