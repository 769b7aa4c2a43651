from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from training.gan import penalties
from training.gan.gan import Gan
from training.gan.penalties import gradient_penalty

MakeGan = Callable[..., Gan]


def linear(weights: Tensor) -> nn.Sequential:
    """D(x) = w·x - 3, whose gradient is w everywhere."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(weights.numel(), 1))
    with torch.no_grad():
        network[1].weight.copy_(weights.flatten())
        network[1].bias.fill_(-3)
    return network


class Square(nn.Module):
    """D(x) = a‖x‖²/2, whose gradient is ax."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(3.0))

    def forward(self, images: Tensor) -> Tensor:
        return self.slope / 2 * images.square().sum((1, 2, 3))[:, None]


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("gamma", [0.5, 10])
def test_the_penalty_of_a_linear_discriminator_depends_only_on_its_weights(
    images: Tensor, gamma: float
) -> None:
    weights = torch.arange(32.0).view(2, 4, 4) / 32
    penalty = gradient_penalty(linear(weights), images, gamma)
    assert penalty.shape == ()
    assert penalty.item() == pytest.approx(gamma / 2 * weights.square().sum().item())


def test_the_penalty_of_a_quadratic_discriminator_depends_on_the_images(images: Tensor) -> None:
    penalty = gradient_penalty(Square(), images, 2)
    assert penalty.item() == pytest.approx(9 * images.square().sum().item() / 5, rel=1e-6)


def test_the_penalty_has_gradients_for_the_discriminator_alone(images: Tensor) -> None:
    network, images = Square(), images.requires_grad_()
    gradient_penalty(network, images, 2).backward()
    assert images.grad is None
    # The derivative of a²·E‖x‖² by a.
    assert network.slope.grad.item() == pytest.approx(6 * images.square().sum().item() / 5)


def test_it_is_computed_in_float32_inside_autocast(images: Tensor) -> None:
    weights = torch.full((2, 4, 4), 1 + 2**-12)  # not representable in bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = gradient_penalty(linear(weights), images.bfloat16(), 2)
    assert penalty.dtype == torch.float32
    assert penalty.item() == pytest.approx(32 * (1 + 2**-12) ** 2, rel=1e-6)


# In training steps.


@pytest.fixture
def paid(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """The mean of the images and the weight of each penalty that is computed."""
    calls: list[tuple[float, float]] = []

    def penalty(_: nn.Module, images: Tensor, gamma: float, conditions: Tensor | None) -> Tensor:
        assert conditions is None
        calls.append((images.mean().item(), gamma))
        return torch.tensor(0.0)

    monkeypatch.setattr(penalties, "gradient_penalty", penalty)
    return calls


WHITE = torch.full((4, 1, 16, 16), 255, dtype=torch.uint8)


def test_lazy_penalties_are_rarer_and_stronger_by_the_same_factor(
    make_gan: MakeGan, paid: list[tuple[float, float]]
) -> None:
    gan = make_gan(r1_gamma=0.5, r2_gamma=2, penalty_interval=3)
    for _ in range(7):
        gan.train_step(WHITE)
    assert [gamma for _, gamma in paid] == [1.5, 6] * 3
    for real, fake in zip(paid[::2], paid[1::2], strict=True):
        assert real[0] == 1
        assert abs(fake[0]) < 0.1


@pytest.mark.parametrize(
    ("options", "gammas"), [({}, []), ({"r1_gamma": 1, "penalty_interval": 1}, [1])]
)
def test_a_penalty_of_weight_zero_is_not_computed(
    make_gan: MakeGan,
    paid: list[tuple[float, float]],
    options: dict[str, float],
    gammas: list[float],
) -> None:
    make_gan(**options).train_step(WHITE)
    assert [gamma for _, gamma in paid] == gammas


def test_the_penalty_flattens_the_discriminator(make_gan: MakeGan) -> None:
    slopes = []
    for gamma in (0, 100):
        gan = make_gan(r1_gamma=gamma, discriminator_lr=1e-2, spectral_norm=False)
        for _ in range(20):
            gan.train_step(WHITE)
        images = torch.ones(4, 1, 16, 16)
        slopes.append(gradient_penalty(gan.discriminator, images, 2).item())
    assert slopes[1] < slopes[0] / 2
