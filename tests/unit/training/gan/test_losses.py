import math

import pytest
import torch

from training.config import Loss
from training.gan.losses import (
    accuracies,
    auxiliary_loss,
    discriminator_loss,
    generator_loss,
)

REAL, FAKE = [2.0, 0.5, -1.0], [-2.0, -0.5, 1.0, 3.0]


def column(values: list[float]) -> torch.Tensor:
    return torch.tensor(values).unsqueeze(1).requires_grad_()


def cross_entropy(logit: float) -> float:
    return -math.log(1 / (1 + math.exp(-logit)))


def test_the_hinge_loss_sums_the_distances_to_the_margin() -> None:
    loss = discriminator_loss(column(REAL), column(FAKE), "hinge")
    assert loss.item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 0.5 + 2 + 4) / 4)
    assert generator_loss(column(REAL), column(FAKE), "hinge").item() == pytest.approx(-1.5 / 4)


def test_the_bce_loss_is_minus_the_log_of_the_sigmoid() -> None:
    loss = discriminator_loss(column(REAL), column(FAKE), "bce")
    real = sum(cross_entropy(logit) for logit in REAL) / len(REAL)
    fake = sum(cross_entropy(-logit) for logit in FAKE) / len(FAKE)
    assert loss.item() == pytest.approx(real + fake)
    missed = sum(cross_entropy(logit) for logit in FAKE) / len(FAKE)
    assert generator_loss(column(REAL), column(FAKE), "bce").item() == pytest.approx(missed)


def test_the_bce_loss_stays_finite_at_logits_whose_sigmoid_does_not() -> None:
    loss = discriminator_loss(column([-1000.0]), column([1000.0]), "bce")
    assert loss.item() == pytest.approx(2000)
    assert generator_loss(column([0.0]), column([-1000.0]), "bce").item() == pytest.approx(1000)


@pytest.mark.parametrize("loss", ["hinge", "bce", "relativistic"])
def test_the_gradients_of_both_networks_have_opposite_signs(loss: Loss) -> None:
    real, fake = column([0.0, -0.5]), column([0.0, 0.5])
    discriminator_loss(real, fake, loss).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    fake = column([0.0, 0.5])
    generator_loss(column([0.0, -0.5]), fake, loss).backward()
    assert (fake.grad < 0).all()


def test_beyond_the_margin_the_hinge_loss_has_no_gradient() -> None:
    real, fake = column([1.5]), column([-1.5])
    discriminator_loss(real, fake, "hinge").backward()
    assert real.grad.item() == 0
    assert fake.grad.item() == 0


PAIRS = [2.0, 0.5, -1.0, 0.0], [-2.0, 1.0, -1.0, 3.0]


def test_the_relativistic_loss_is_the_cross_entropy_of_each_pairs_difference() -> None:
    real, fake = (column(values) for values in PAIRS)
    differences = [4, -0.5, 0, -3]
    missed = sum(cross_entropy(difference) for difference in differences) / 4
    assert discriminator_loss(real, fake, "relativistic").item() == pytest.approx(missed)
    missed = sum(cross_entropy(-difference) for difference in differences) / 4
    assert generator_loss(real, fake, "relativistic").item() == pytest.approx(missed)


def test_the_relativistic_loss_ignores_a_constant_added_to_both_logits() -> None:
    real, fake = (column(values) for values in PAIRS)
    for loss in (discriminator_loss, generator_loss):
        before = loss(real, fake, "relativistic").item()
        assert loss(real + 64, fake + 64, "relativistic").item() == before


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("hinge", (0.5, 0.5)), ("bce", (0.5, 0.5)), ("relativistic", (0.25, 0.25))],
)
def test_accuracies_count_correct_signs_or_correctly_ordered_pairs(
    loss: Loss, expected: tuple[float, float]
) -> None:
    real, fake = (column(values) for values in PAIRS)
    found = accuracies(real, fake, loss)
    assert tuple(share.item() for share in found) == expected


def test_the_auxiliary_loss_of_classes_is_a_cross_entropy() -> None:
    predictions = torch.tensor([[0.0, math.log(3)], [math.log(4), 0.0]])
    classes = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    loss = auxiliary_loss(predictions, classes, exclusive=True)
    assert loss.item() == pytest.approx((-math.log(3 / 4) - math.log(1 / 5)) / 2)


def test_the_auxiliary_loss_of_attributes_is_the_mean_of_their_cross_entropies() -> None:
    predictions = torch.tensor([[0.5, -2.0]])
    loss = auxiliary_loss(predictions, torch.tensor([[1.0, 0.0]]), exclusive=False)
    assert loss.item() == pytest.approx((cross_entropy(0.5) + cross_entropy(2.0)) / 2)
