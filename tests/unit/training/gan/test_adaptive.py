from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from training.gan import adaptive
from training.gan.adaptive import AdaptiveAugmentation
from training.gan.gan import Gan
from training.gan.process_group import ProcessGroup

MakeGan = Callable[..., Gan]
CHANGE = 64 * 4 / 500_000
"""The change of the probability after four steps on 64 images."""


def after(accuracies: list[float], batch_size: int = 64) -> float:
    """The probability after steps in which so many of the real images were recognised."""
    augmentation = AdaptiveAugmentation(batch_size)
    for step, accuracy in enumerate(accuracies, start=1):
        augmentation.observe(torch.tensor(accuracy))
        augmentation.end_step(step)
    return augmentation.probability.item()


@pytest.fixture
def images() -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (28, 1, 16, 16), dtype=torch.uint8, generator=random)


def test_the_probability_starts_at_0_and_changes_every_fourth_step() -> None:
    assert after([]) == 0
    assert after([1.0] * 3) == 0
    assert after([1.0] * 4) == pytest.approx(CHANGE)
    assert after([1.0] * 43) == pytest.approx(10 * CHANGE)


def test_it_takes_500_000_images_from_0_to_1_and_stays_there() -> None:
    assert after([1.0] * 480, batch_size=1000) == pytest.approx(0.96, abs=1e-4)
    assert after([1.0] * 500, batch_size=1000) == pytest.approx(1, abs=1e-4)
    assert after([1.0] * 600, batch_size=1000) == 1


@pytest.mark.parametrize(("accuracy", "steps"), [(0.81, 1), (0.79, -1), (1.0, 1), (0.5, -1)])
def test_it_rises_while_more_than_80_percent_of_the_real_images_are_recognised_else_falls(
    accuracy: float, steps: int
) -> None:
    assert after([1.0] * 8 + [accuracy] * 4) == pytest.approx((2 + steps) * CHANGE)


def test_the_mean_of_four_steps_decides() -> None:
    assert after([1.0, 1.0, 1.0, 0.1]) == 0  # 77.5%
    assert after([1.0, 1.0, 1.0, 0.3]) == pytest.approx(CHANGE)  # 82.5%


def test_it_does_not_fall_below_0() -> None:
    assert after([0.5] * 40) == 0
    assert after([0.5] * 40 + [1.0] * 4) == pytest.approx(CHANGE)


def test_the_state_continues_within_four_steps() -> None:
    first, second = AdaptiveAugmentation(64), AdaptiveAugmentation(64)
    for step in (1, 2, 3):
        first.observe(torch.tensor(1.0))
        first.end_step(step)
    second.load_state_dict(first.state_dict())
    second.observe(torch.tensor(0.3))
    second.end_step(4)
    assert second.probability.item() == pytest.approx(CHANGE)


# In a step.


def test_only_adaptive_augmentation_has_a_state(make_gan: MakeGan) -> None:
    assert "adaptive" in make_gan(augment="ada").state_dict()
    assert "adaptive" not in make_gan(augment="color").state_dict()


@pytest.mark.parametrize("loss", ["hinge", "bce", "relativistic"])
def test_a_step_notes_the_accuracy_that_it_reports(
    make_gan: MakeGan, images: Tensor, loss: str
) -> None:
    gan = make_gan(augment="ada", loss=loss)
    assert gan.adaptive is not None
    accuracies = [gan.train_step(images[:4])[2].item() for _ in range(3)]
    assert gan.adaptive.accuracies.item() == pytest.approx(sum(accuracies))
    gan.train_step(images[:4])
    assert gan.adaptive.accuracies.item() == 0


def test_processes_note_the_mean_of_their_accuracies(
    make_gan: MakeGan, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other process recognises no real image.
    monkeypatch.setattr(ProcessGroup, "mean", lambda _, values: values.div_(2))
    monkeypatch.setattr(ProcessGroup, "average_gradients", lambda *_: None)
    gan = make_gan(augment="ada")
    assert gan.adaptive is not None
    gan.group = ProcessGroup(0, 2)
    accuracy = gan.train_step(images[:2])[2].item()
    assert gan.adaptive.accuracies.item() == pytest.approx(accuracy / 2)


@pytest.mark.parametrize(("loss", "batches"), [("hinge", 3), ("relativistic", 4)])
def test_the_discriminator_sees_all_images_augmented(
    make_gan: MakeGan, images: Tensor, monkeypatch: pytest.MonkeyPatch, loss: str, batches: int
) -> None:
    gan = make_gan(augment="ada", loss=loss)
    assert gan.adaptive is not None
    gan.adaptive.probability.fill_(0.5)
    seen: list[tuple[int, float]] = []

    def marked(images: Tensor, probability: Tensor) -> Tensor:
        seen.append((len(images), probability.item()))
        return images

    monkeypatch.setattr(adaptive, "transformed", marked)
    gan.train_step(images[:4])
    assert seen == [(4, 0.5)] * batches


def test_the_generator_learns_through_the_transformations(
    make_gan: MakeGan, images: Tensor
) -> None:
    gan = make_gan(augment="ada")
    assert gan.adaptive is not None
    gan.adaptive.probability.fill_(1)
    gan.train_step(images[:4])
    slopes = [weights.grad for weights in gan.generator.parameters()]
    assert all(slope is not None and slope.any() for slope in slopes)
