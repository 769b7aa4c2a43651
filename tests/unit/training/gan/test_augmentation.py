import pytest
import torch
from torch import Tensor

from training.gan.augmentation import augmented, color, cutout, mirrored, translation

ALL = ("color", "translation", "cutout")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def noise(count: int = 4, channels: int = 3, height: int = 16, width: int = 16) -> Tensor:
    return torch.rand(count, channels, height, width) * 2 - 1


# Mirroring of real images.


def test_half_of_the_images_are_mirrored_and_the_others_are_unchanged() -> None:
    images = noise(400)
    seen = mirrored(images)
    unchanged = (seen == images).flatten(1).all(dim=1)
    flipped = (seen == images.flip(3)).flatten(1).all(dim=1)
    assert (unchanged ^ flipped).all()
    assert 150 < flipped.sum() < 250


# All policies.


@pytest.mark.parametrize("policy", [(name,) for name in ALL] + [ALL, ALL[::-1]])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_policy_keeps_the_shape_and_changes_every_image_its_own_way(
    policy: tuple[str, ...], channels: int
) -> None:
    images = noise(1, channels).expand(8, -1, -1, -1)
    changed = augmented(images, policy)
    assert (changed.shape, changed.dtype) == (images.shape, torch.float32)
    assert len({tuple(image.flatten().tolist()) for image in changed}) >= 6


@pytest.mark.parametrize("policy", [(name,) for name in ALL] + [ALL])
def test_gradients_pass_through(policy: tuple[str, ...]) -> None:
    images = noise().requires_grad_()
    augmented(images, policy).square().sum().backward()
    assert images.grad is not None
    assert images.grad.flatten(1).any(dim=1).all()


def test_an_empty_policy_returns_the_images_themselves_and_draws_no_random_numbers() -> None:
    images, before = noise().bfloat16(), torch.get_rng_state()
    assert augmented(images, ()) is images
    assert torch.get_rng_state().equal(before)


def test_the_same_random_state_gives_the_same_changes() -> None:
    images, state = noise(), torch.get_rng_state()
    first = augmented(images, ALL)
    assert not augmented(images, ALL).equal(first)
    torch.set_rng_state(state)
    assert augmented(images, ALL).equal(first)


def test_half_precision_images_become_float32() -> None:
    assert augmented(noise().bfloat16(), ("color",)).dtype == torch.float32


# Colour.


def test_brightness_moves_a_flat_image_by_up_to_a_half_either_way() -> None:
    flat = torch.full((4000, 1, 4, 4), 0.25)
    moved = color(flat) - flat  # a flat image has no contrast
    assert moved.flatten(1).std(dim=1).max() < 1e-6
    levels = moved[:, 0, 0, 0]
    assert -0.5 <= levels.min() < -0.49
    assert 0.49 < levels.max() <= 0.5
    assert levels.mean().item() == pytest.approx(0, abs=0.02)


def test_contrast_changes_by_a_factor_of_half_to_one_and_a_half_around_the_mean() -> None:
    images = noise(1, 1).expand(4000, -1, -1, -1)
    ratio = color(images).flatten(1).std(dim=1) / images[0].std()
    assert 0.5 <= ratio.min() + 1e-5 < 0.51
    assert 1.49 < ratio.max() <= 1.5 + 1e-5
    assert ratio.mean().item() == pytest.approx(1, abs=0.02)


def test_saturation_changes_by_a_factor_of_zero_to_two_and_grey_stays_grey() -> None:
    # Two pixels, to distinguish the distance between the colours from the contrast.
    images = torch.tensor([[[[0.5, -0.5]], [[0.0, 0.0]], [[-0.5, 0.5]]]]).expand(4000, -1, -1, -1)
    changed = color(images)
    middle = changed.mean(dim=1)
    assert (middle[:, :, 0] - middle[:, :, 1]).abs().max() < 1e-6
    ratio = changed[:, 0, 0, 0] - changed[:, 2, 0, 0]  # it was 1 and is now saturation × contrast
    assert 0 <= ratio.min() < 0.01
    assert 2.8 < ratio.max() <= 3
    assert ratio.mean().item() == pytest.approx(1, abs=0.04)
    grey = color(noise(50, 1).expand(-1, 3, -1, -1))
    assert (grey - grey.mean(dim=1, keepdim=True)).abs().max() < 1e-6


def test_grey_images_draw_no_random_numbers_for_saturation() -> None:
    state = torch.get_rng_state()
    images = torch.ones(4, 1, 2, 2)
    color(images)
    after = torch.get_rng_state()
    torch.set_rng_state(state)
    torch.rand(8)
    assert after.equal(torch.get_rng_state())


# Translation.


@pytest.mark.parametrize(("height", "width"), [(16, 16), (28, 28), (16, 64)])
def test_a_translation_moves_the_whole_image_by_up_to_an_eighth(height: int, width: int) -> None:
    image = noise(1, 2, height, width)
    rows, columns = (round(size / 8) for size in (height, width))
    seen = set()
    for moved in translation(image.expand(600, -1, -1, -1)):
        # The shift is found by one pixel; it then decides all others.
        shifts = [
            (down, right)
            for down in range(-rows, rows + 1)
            for right in range(-columns, columns + 1)
            if moved[:, max(down, 0) + 4, max(right, 0) + 4].equal(
                image[0, :, max(-down, 0) + 4, max(-right, 0) + 4]
            )
        ]
        ((down, right),) = shifts
        expected = torch.zeros_like(moved)
        expected[:, max(down, 0) : height + down, max(right, 0) : width + right] = image[
            0, :, max(-down, 0) : height - down, max(-right, 0) : width - right
        ]
        assert moved.equal(expected)
        seen.add((down, right))
    assert len(seen) > 0.9 * (2 * rows + 1) * (2 * columns + 1)
    assert {down for down, _ in seen} == set(range(-rows, rows + 1))
    assert {right for _, right in seen} == set(range(-columns, columns + 1))


# Cutout.


def overlaps(size: int) -> list[int]:
    """The visible length of a hole of ``size // 2`` in a line of ``size``, for each centre."""
    return [
        len(range(max(middle - size // 4, 0), min(middle - size // 4 + size // 2, size)))
        for middle in range(size)
    ]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (28, 28), (16, 64)])
def test_a_cutout_is_a_rectangle_of_zeros_and_leaves_the_rest(height: int, width: int) -> None:
    images = noise(200, 2, height, width)
    changed = cutout(images)
    holes = changed == 0
    assert holes[:, 0].equal(holes[:, 1])
    rows, columns = holes[:, 0].any(dim=2), holes[:, 0].any(dim=1)
    assert (rows[:, :, None] & columns[:, None, :]).equal(holes[:, 0])
    assert changed.equal(images.masked_fill(holes, 0))
    for edges, size in ((rows, height), (columns, width)):
        assert set(edges.sum(dim=1).tolist()) <= set(overlaps(size))
        steps = edges.int().diff(dim=1).abs().sum(dim=1)
        assert steps.max() <= 2
        assert edges.sum(dim=1).max() == size // 2


@pytest.mark.parametrize("size", [16, 28])
def test_the_mean_area_of_a_cutout_is_the_mean_over_all_centres(size: int) -> None:
    holes = cutout(torch.ones(20_000, 1, size, size)) == 0
    expected = (sum(overlaps(size)) / size / size) ** 2
    assert holes.float().mean().item() == pytest.approx(expected, rel=0.01)


def test_every_pixel_is_outside_the_cutout_in_more_than_half_of_the_images() -> None:
    spared = (cutout(torch.ones(500, 1, 16, 16)) == 1).float().mean(dim=0)
    assert spared.min() > 0.5
