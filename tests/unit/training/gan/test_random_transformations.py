import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from training.gan import random_transformations
from training.gan.random_transformations import moved, recoloured, transformed

ALWAYS, NEVER = torch.ones(1), torch.zeros(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """No transformation but mirroring, turning, rotating, inverting and changing the hue."""
    for name in list(vars(random_transformations)):
        if name.isupper():
            monkeypatch.setattr(random_transformations, name, 0.0)


def noise(count: int = 8, channels: int = 3, height: int = 16, width: int = 16) -> Tensor:
    return torch.rand(count, channels, height, width) * 2 - 1


def copies(image: Tensor, count: int) -> Tensor:
    return image.expand(count, -1, -1, -1)


def equal_share(images: Tensor, expected: Tensor) -> float:
    """The share of ``images`` that are ``expected``, up to rounding."""
    same = (images - expected).abs().flatten(1).amax(dim=1) < 1e-4
    return same.float().mean().item()


# All transformations.


@pytest.mark.parametrize("channels", [1, 3])
def test_with_probability_0_no_bit_changes(channels: int) -> None:
    images = noise(channels=channels)
    assert transformed(images, NEVER).equal(images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("change", [moved, recoloured, transformed])
def test_with_probability_1_every_image_changes_its_own_way(
    change: Callable[[Tensor, Tensor], Tensor], channels: int
) -> None:
    images = copies(noise(1, channels), 50)
    changed = change(images, ALWAYS)
    assert changed.shape == images.shape
    assert (changed != images).flatten(1).any(dim=1).all()
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 50


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_gradients_pass_through(probability: float) -> None:
    images = noise().requires_grad_()
    transformed(images, torch.tensor([probability])).square().sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.flatten(1).any(dim=1).all()


def test_the_same_random_state_gives_the_same_changes() -> None:
    images, state = noise(), torch.get_rng_state()
    first = transformed(images, ALWAYS)
    assert not transformed(images, ALWAYS).equal(first)
    torch.set_rng_state(state)
    assert transformed(images, ALWAYS).equal(first)


def test_inside_autocast_images_are_placed_in_float32() -> None:
    images, state = noise().bfloat16(), torch.get_rng_state()
    expected = transformed(images.float(), ALWAYS)
    torch.set_rng_state(state)
    with torch.autocast("cpu", torch.bfloat16):
        assert transformed(images, ALWAYS).equal(expected)


# Geometry.


def test_each_transformation_has_the_probability() -> None:
    """The shares of images that are unchanged, mirrored or turned, and otherwise unchanged."""
    p, image, count = 0.2, noise(1), 8000
    changed = moved(copies(image, count), torch.tensor([p]))
    # Scale, rotations, stretch and shift by fractions; a shift by whole pixels may be one by none.
    others = (1 - p) ** 4 * (1 - p * 15 / 16)
    unmirrored, unturned = 1 - p / 2, 1 - p * 3 / 4
    expected = {
        image: unmirrored * unturned,
        image.flip(3): p / 2 * unturned,
        image.rot90(1, (2, 3)): unmirrored * p / 4,
        image.rot90(2, (2, 3)): unmirrored * p / 4,
        image.rot90(3, (2, 3)): unmirrored * p / 4,
    }
    for result, share in expected.items():
        deviation = math.sqrt(share * others / count)
        assert equal_share(changed, result) == pytest.approx(share * others, abs=4 * deviation)


def blob(height: int, width: int) -> Tensor:
    """A round blot in the middle, as if drawn on pixels, ``(1, 1, height, width)``."""
    y, x = (torch.arange(size) - (size - 1) / 2 for size in (height, width))
    return torch.exp(-(y[:, None] ** 2 + x**2) / 18)[None, None]


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 64), (64, 32)])
def test_a_round_blot_remains_round_at_its_place(height: int, width: int) -> None:
    image = blob(height, width)
    error = (moved(copies(image, 50), ALWAYS) - image).abs()
    # What a turned image lacks beside the middle square are its reflections.
    square = error[..., height // 2 - 14 : height // 2 + 14, width // 2 - 14 : width // 2 + 14]
    assert square.max() < 0.03  # the error of linear interpolation


@pytest.mark.usefixtures("without")
def test_the_scale_has_its_deviation_and_the_stretch_keeps_the_area(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random_transformations, "SCALE_DEVIATION", 0.2)
    image = blob(48, 48)
    areas = moved(copies(image, 2000), ALWAYS).sum(dim=(1, 2, 3)) / image.sum()
    assert areas.log2().std().item() == pytest.approx(2 * 0.2, rel=0.05)
    assert areas.log2().mean().item() == pytest.approx(0, abs=0.03)


@pytest.mark.usefixtures("without")
def test_shifts_by_whole_pixels_are_up_to_an_eighth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_transformations, "MAX_SHIFT", 0.125)
    p, image, count = 0.3, noise(1), 4000
    changed = moved(copies(image, count), torch.tensor([p]))
    padded = torch.from_numpy(np.pad(image, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="symmetric"))
    shares = {
        (down, right): equal_share(changed, padded[:, :, down : down + 16, right : right + 16])
        for down, right in itertools.product(range(5), range(5))
    }
    assert min(shares.values()) > 0
    others = (1 - p / 2) * (1 - p * 3 / 4) * (1 - p)  # neither mirrored, turned nor rotated
    assert sum(shares.values()) == pytest.approx(others, abs=4 * 0.5 / math.sqrt(count))
    assert shares[2, 2] == pytest.approx(others * (1 - p * 15 / 16), abs=4 * 0.5 / math.sqrt(count))


@pytest.mark.usefixtures("without")
def test_shifts_by_fractions_have_their_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_transformations, "SHIFT_DEVIATION", 0.05)
    image = blob(64, 64)
    weights = moved(copies(image, 2000), ALWAYS)[:, 0] / image.sum()
    for axis in (1, 2):
        centres = (weights.sum(dim=axis) * torch.arange(64)).sum(dim=1)
        assert centres.std().item() == pytest.approx(0.05 * 64, rel=0.06)


def test_outside_of_an_image_is_its_reflection() -> None:
    assert moved(torch.full((200, 1, 16, 16), 0.5), ALWAYS).sub(0.5).abs().max() < 1e-5


# Colour.


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize(
    ("name", "deviation"), [("BRIGHTNESS_DEVIATION", 0.2), ("CONTRAST_DEVIATION", 0.5)]
)
def test_brightness_and_contrast_have_their_deviations(
    monkeypatch: pytest.MonkeyPatch, name: str, deviation: float
) -> None:
    monkeypatch.setattr(random_transformations, name, deviation)
    bright = name == "BRIGHTNESS_DEVIATION"
    images = recoloured(torch.full((4000, 1, 2, 2), 0.0 if bright else 1.0), ALWAYS)
    assert images.flatten(1).std(dim=1).max() < 1e-6
    levels = images[:, 0, 0, 0] if bright else images[:, 0, 0, 0].abs().log2()
    assert levels.std().item() == pytest.approx(deviation, rel=0.05)
    assert levels.mean().item() == pytest.approx(0, abs=0.03)


@pytest.mark.usefixtures("without")
def test_half_of_the_chosen_grey_images_are_inverted() -> None:
    image = noise(1, 1)
    changed = recoloured(copies(image, 1000), ALWAYS)
    shares = [equal_share(changed, result) for result in (image, -image)]
    assert sum(shares) == pytest.approx(1)
    assert shares[0] == pytest.approx(0.5, abs=0.06)


@pytest.mark.usefixtures("without")
def test_the_hue_turns_by_any_angle_and_keeps_brightness_and_saturation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    colour = torch.tensor([0.6, -0.2, -0.4])  # without brightness
    changed = recoloured(colour.view(1, 3, 1, 1).expand(4000, -1, 1, 1), ALWAYS)[:, :, 0, 0]
    assert changed.sum(dim=1).abs().max() < 1e-5
    cosines = (changed @ colour) / colour.square().sum()
    torch.testing.assert_close(changed.norm(dim=1), colour.norm().expand(4000))
    assert (cosines > 0.5).float().mean().item() == pytest.approx(1 / 3, abs=0.03)
    assert (cosines < -0.5).float().mean().item() == pytest.approx(1 / 3, abs=0.03)
    monkeypatch.setattr(random_transformations, "SATURATION_DEVIATION", 1.0)
    changed = recoloured(colour.view(1, 3, 1, 1).expand(4000, -1, 1, 1), ALWAYS)[:, :, 0, 0]
    saturation = (changed.norm(dim=1) / colour.norm()).log2()
    assert saturation.std().item() == pytest.approx(1, rel=0.05)


def test_greys_stay_grey() -> None:
    changed = recoloured(noise(50, 1).expand(-1, 3, -1, -1), ALWAYS)
    assert (changed - changed.mean(dim=1, keepdim=True)).abs().max() < 1e-5
