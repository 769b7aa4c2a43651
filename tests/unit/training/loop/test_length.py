import pytest

from training.config import from_flags
from training.errors import DataError
from training.loop.length import check_count, epochs_done, epochs_of, shortage, steps_of


@pytest.mark.parametrize(("count", "batch_size"), [(60_000, 32), (40, 8), (100, 64), (17, 16)])
def test_every_epoch_ends_in_the_step_that_shows_its_last_image(
    count: int, batch_size: int
) -> None:
    for epochs in range(1, 20):
        steps = steps_of(epochs, count, batch_size)
        assert (steps - 1) * batch_size < epochs * count <= steps * batch_size
        assert epochs_done(steps, count, batch_size) == epochs
        assert epochs_done(steps - 1, count, batch_size) == epochs - 1


@pytest.mark.parametrize(
    ("preset", "epochs"),
    [
        ("dcgan-28", 50),
        ("paper-64", 50),
        ("leaky-64", 50),
        ("keras-28", 10),
        ("uniform-28", 50),
        ("upsample-28", 50),
    ],
)
def test_on_fashion_mnist_recipes_have_their_published_length(preset: str, epochs: int) -> None:
    assert epochs_of(from_flags({"preset": preset}), 60_000) == epochs


def test_a_small_data_set_is_shown_as_often_as_the_preset_needs() -> None:
    options = from_flags({"preset": "dcgan-64"})
    assert epochs_of(options, 100) == 10_000
    assert epochs_of(options, 202_599) == 5  # whole epochs
    assert steps_of(10_000, 100, options.batch_size) == 15_625
    assert epochs_of(from_flags({"images_seen": 1}), 100) == 1


def test_epochs_win() -> None:
    assert epochs_of(from_flags({"epochs": 3, "images_seen": 10**6}), 100) == 3


def test_a_run_that_sees_too_few_images_is_told_how_many_epochs_it_needs() -> None:
    flags = {"preset": "dcgan-64", "epochs": 50}
    warning = shortage(from_flags(flags), 100)
    assert "the run shows 5,000 images (epochs × images: 50 × 100)" in warning
    assert "--preset dcgan-64 is made for 1,000,000. Use --epochs 10000" in warning
    assert shortage(from_flags({**flags, "epochs": 1000}), 100) == ""
    assert shortage(from_flags({"preset": "dcgan-64"}), 16) == ""
    assert "Use --epochs 10000" in shortage(from_flags({**flags, "images_seen": 5000}), 100)


def test_fewer_images_than_a_batch_are_an_error() -> None:
    check_count(4, 4)
    with pytest.raises(DataError, match="3 images are fewer than one batch of 4"):
        check_count(3, 4)
