import numpy as np
import pytest
import torch
from torch import nn

from app.artifact.card import Latent
from app.latent import sampling
from app.latent.conditions import AttributeSampler, ClassSampler
from training.config import Config
from training.gan.conditional import Projection, input_rows, judge, rows_of, sheet_rows
from training.gan.gan import Gan

LATENT = Latent(width=5, prior="normal")
DIGITS = ClassSampler(("zero", "one", "two"), (0.2, 0.3, 0.5))
FACES = AttributeSampler(("beard", "hat"), (0, 1, 3), {"beard": frozenset(), "hat": frozenset()})


def small() -> nn.Sequential:
    """A discriminator of 2×2 images whose five last feature maps are 2×2, too."""
    return nn.Sequential(nn.Conv2d(1, 5, 1), nn.LeakyReLU(), nn.Flatten(), nn.Linear(20, 1))


def test_the_logit_is_the_unconditional_one_plus_an_inner_product() -> None:
    plain = small()
    network = Projection(plain, 3, spectral_norm=False)
    images, conditions = torch.rand(6, 1, 2, 2), torch.eye(3).repeat(2, 1)
    embedded = network.embedding.weight.T[conditions.argmax(dim=1)]
    features = plain[:2](images).sum(dim=(2, 3)) / 2  # the root of an area of 4
    expected = plain(images) + (embedded * features).sum(dim=1, keepdim=True)
    torch.testing.assert_close(network(images, conditions), expected)
    judged = network.judge(images, conditions)
    torch.testing.assert_close(judged.logits, expected)
    torch.testing.assert_close(judged.predictions, network.classifier(features))


def test_predictions_do_not_depend_on_the_condition() -> None:
    network, images = Projection(small(), 3, spectral_norm=False), torch.rand(6, 1, 2, 2)
    first, second = (network.judge(images, torch.eye(3)[[k] * 6]).predictions for k in (0, 1))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_an_unconditional_discriminator_predicts_nothing() -> None:
    network, images = small(), torch.rand(6, 1, 2, 2)
    judged = judge(network, images, None)
    torch.testing.assert_close(judged.logits, network(images))
    assert judged.predictions is None


def test_the_logit_is_linear_in_the_condition() -> None:
    network = Projection(small(), 2, spectral_norm=False)
    images = torch.rand(1, 1, 2, 2)
    first, second, mixed = (
        network(images, torch.tensor([row])) for row in ([1.0, 0.0], [0.0, 1.0], [0.25, 0.75])
    )
    torch.testing.assert_close(mixed, 0.25 * first + 0.75 * second)


@pytest.mark.parametrize("name", ["embedding", "classifier"])
def test_spectral_norm_covers_both_heads(name: str) -> None:
    network = Projection(small(), 3, spectral_norm=True)
    network.train()
    for _ in range(30):
        network(torch.rand(2, 1, 2, 2), torch.eye(3)[:2])
    norm = torch.linalg.matrix_norm(getattr(network, name).weight, 2)
    assert norm.item() == pytest.approx(1, abs=1e-3)


def test_a_discriminator_without_a_linear_output_is_refused() -> None:
    with pytest.raises(TypeError, match="the last layers must be Flatten and Linear"):
        Projection(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten()), 3, spectral_norm=False)


def test_rows_are_latents_followed_by_conditions() -> None:
    rows = rows_of([3, 9], LATENT, DIGITS)
    np.testing.assert_array_equal(rows[:, :5], sampling.from_seeds([3, 9], 5))
    np.testing.assert_array_equal(rows[:, 5:], DIGITS.from_seeds([3, 9]))
    np.testing.assert_array_equal(rows_of([3, 9], LATENT, None), rows[:, :5])
    parts = torch.from_numpy(rows[:, :5]), torch.from_numpy(rows[:, 5:])
    np.testing.assert_array_equal(input_rows(*parts).numpy(), rows)
    assert input_rows(parts[0], None) is parts[0]


def test_a_sheet_has_a_row_for_each_class_and_a_column_for_each_latent() -> None:
    grid = sheet_rows(LATENT, DIGITS).reshape(3, 8, 8)
    assert (grid[:, :, 5:] == np.eye(3)[:, None]).all()
    assert (grid[:, :, :5] == sampling.from_seeds(range(8), 5)).all()


@pytest.mark.parametrize("sampler", [FACES, None])
def test_any_other_sheet_has_the_first_64_seeds(sampler: AttributeSampler | None) -> None:
    np.testing.assert_array_equal(sheet_rows(LATENT, sampler), rows_of(range(64), LATENT, sampler))


@pytest.mark.parametrize(
    "options",
    [{}, {"loss": "relativistic", "r1_gamma": 1}, {"loss": "hinge", "spectral_norm": True}],
)
def test_the_generator_learns_to_obey_its_condition(options: dict[str, object]) -> None:
    # Dark and bright images: the condition is all that decides which one an image is.
    config = Config.model_validate(
        {
            "batch_size": 16,
            "latent_dim": 4,
            "generator_filters": 4,
            "discriminator_filters": 4,
            "average_decay": 0.9,
            "precision": "fp32",
            **options,
        }
    )
    sampler = ClassSampler(("dark", "bright"), (0.5, 0.5))
    gan = Gan(config, (1, 16, 16), torch.device("cpu"), sampler=sampler)
    conditions = torch.eye(2).repeat(8, 1)
    images = torch.full((16, 1, 16, 16), 40, dtype=torch.uint8)
    images[1::2] = 215
    for _ in range(60):
        gan.train_step(images, conditions)
    generator = gan.averaged_generator()
    latents = gan.sample_latents(50)
    with torch.no_grad():
        dark, bright = (
            generator(input_rows(latents, row.expand(50, 2))).mean().item() for row in torch.eye(2)
        )
    assert bright - dark > 0.5
