import pytest
import torch

from training.encoder.ssim import ssim


def constant(value: float, side: int = 16) -> torch.Tensor:
    return torch.full((1, 1, side, side), value)


def test_equal_images_have_a_similarity_of_one() -> None:
    images = torch.rand(3, 3, 20, 24) * 255
    torch.testing.assert_close(ssim(images, images), torch.ones(3).double())


@pytest.mark.parametrize(("a", "b"), [(0, 255), (100, 120), (10, 0)])
@pytest.mark.parametrize("side", [16, 5])
def test_images_of_one_grey_differ_by_their_luminance(a: float, b: float, side: int) -> None:
    """Without variance, only the first factor of the paper's equation 13 is not one."""
    c1 = (0.01 * 255) ** 2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert ssim(constant(a, side), constant(b, side)).item() == pytest.approx(expected, abs=1e-6)


def test_noise_lowers_the_similarity_and_an_inverted_image_has_a_negative_one() -> None:
    image = torch.rand(1, 1, 28, 28) * 255
    noisy = (image + torch.randn_like(image) * 40).clamp(0, 255)
    assert 0.5 < ssim(image, noisy).item() < 0.99
    assert ssim(image, 255 - image).item() < 0


def test_the_window_is_the_gaussian_of_the_paper() -> None:
    """A single different pixel changes the means around it by the window's weights."""
    black, dot = constant(0, 11), constant(0, 11)
    dot[..., 5, 5] = 200.0
    axis = torch.exp(-((torch.arange(11) - 5.0) ** 2) / (2 * 1.5**2)).double()
    weight = (axis[5] / axis.sum()) ** 2
    mean, variance = 200 * weight, 200**2 * (weight - weight**2)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = c1 / (mean**2 + c1) * c2 / (variance + c2)
    assert ssim(black, dot).item() == pytest.approx(expected.item(), rel=1e-6)
