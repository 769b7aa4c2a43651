import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from app.latent import sampling
from training.config import Architecture, Config, from_flags
from training.export import parity
from training.export.graph import build_graph
from training.gan import networks
from training.gan.gan import Gan
from training.gan.pixels import to_pixels
from training.image_size import ImageSize
from training.loop.epochs import TrainingData, train
from training.presets import PRESETS

CPU = torch.device("cpu")
KERAS = ["keras-28", "uniform-28"]
Build = Callable[[str], tuple[nn.Sequential, nn.Sequential]]


def shape(config: Config) -> tuple[int, int, int]:
    """The shape of the images that a preset is made for."""
    return (3, 64, 64) if config.image_size == ImageSize.square(64) else (1, 28, 28)


@pytest.fixture(scope="module")
def build() -> Build:
    """Makes the networks of a preset, once for all tests, which only read them."""

    @functools.cache
    def built(preset: str) -> tuple[nn.Sequential, nn.Sequential]:
        config = from_flags({"preset": preset})
        gan = Gan(config, shape(config), CPU)
        return gan.generator, gan.discriminator

    return built


def trained(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def statistics(network: nn.Module) -> int:
    """The numbers that Keras counts as parameters and does not train."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    return sum(2 * norm.num_features for norm in norms)


def kinds(network: nn.Sequential) -> str:
    return " ".join(type(layer).__name__ for layer in network)


# Recipes.


def test_without_a_preset_the_recipe_is_dcgan_28() -> None:
    assert from_flags({}) == from_flags({"preset": "dcgan-28"}) == Config()


@pytest.mark.parametrize("dataset", ["avatars", "folder:pictures"])
def test_without_a_preset_the_recipe_for_colour_images_is_dcgan_64(dataset: str) -> None:
    """That of grey images of 28×28 would take four times as long on them."""
    named = from_flags({"preset": "dcgan-64", "dataset": dataset})
    assert from_flags({"dataset": dataset}) == named
    assert (named.preset, named.loss) == ("dcgan-64", "relativistic")
    assert from_flags({"preset": "dcgan-28", "dataset": dataset}).loss == "bce"


@pytest.mark.parametrize("preset", PRESETS)
def test_flags_override_any_preset(preset: str) -> None:
    config = from_flags({"preset": preset})
    refined = from_flags({"preset": preset, "epochs": "3", "activation": "selu", "dropout": "0.5"})
    assert refined == config.model_copy(update={"epochs": 3, "activation": "selu", "dropout": 0.5})


def test_no_two_presets_are_the_same() -> None:
    recipes = [from_flags({"preset": preset}).model_dump(exclude={"preset"}) for preset in PRESETS]
    assert len(PRESETS) == 7
    assert all(recipes.count(recipe) == 1 for recipe in recipes)


COMMON = {"beta2": 0.999}
PUBLISHED = {
    "latent_dim": 100,
    "decay_from": 1,
    "average_decay": 0,
    "spectral_norm": False,
    "batch_norm": True,
    "r1_gamma": 0,
    "r2_gamma": 0,
    "conditional": "none",
    "augment": "",
}
PAPER = {"prior": "uniform", "batch_size": 128, "rates": (2e-4, 2e-4), "beta1": 0.5, "loss": "bce"}
OURS = {
    "prior": "normal",
    "beta1": 0.5,
    "average_decay": 0.999,
    "decay_from": 0.5,
    "latent_dim": 64,
    "batch_size": 64,
    "spectral_norm": False,
    "batch_norm": False,
    "r1_gamma": 1,
    "penalty_interval": 8,
}
KERASES = {"batch_size": 32, "rates": (1e-3, 1e-3), "beta1": 0.9, "loss": "bce"}
RECIPES: dict[str, dict[str, Any]] = {
    "dcgan-28": {
        **OURS,
        "rates": (2e-3, 1e-3),
        "loss": "bce",
        "r2_gamma": 0,
        "auxiliary": 0.2,
    },
    "dcgan-64": {
        **OURS,
        "rates": (4e-4, 4e-4),
        "loss": "relativistic",
        "r2_gamma": 1,
        "auxiliary": 0.5,
    },
    "paper-64": {**PAPER},
    "leaky-64": {**PAPER, "prior": "normal"},
    "keras-28": {**KERASES, "prior": "normal"},
    "uniform-28": {
        **KERASES,
        "prior": "uniform",
        "batch_size": 128,
        "rates": (2e-4, 2e-4),
    },
    "upsample-28": {**PAPER, "prior": "normal", "batch_size": 64},
}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_published_recipes_are_kept(preset: str) -> None:
    config = from_flags({"preset": preset})
    options = {**config.model_dump(), "rates": (config.generator_lr, config.discriminator_lr)}
    published = {} if preset.startswith("dcgan") else PUBLISHED
    expected = {**COMMON, **published, **RECIPES[preset]}
    assert {name: options[name] for name in expected} == expected


# Numbers of parameters, in closed form.


def test_keras_28_has_the_parameters_that_keras_counts(build: Build) -> None:
    generator, discriminator = build("keras-28")
    assert trained(generator) + statistics(generator) == 840_705
    assert statistics(generator) == 384
    assert trained(discriminator) == 212_865
    assert statistics(discriminator) == 0


def test_upsample_28_has_the_parameters_that_keras_counts(build: Build) -> None:
    generator, discriminator = build("upsample-28")
    dense = 101 * 128 * 49
    assert trained(generator) == dense + 128 * (9 * 128 + 3) + 64 * (9 * 128 + 3) + 9 * 64 + 1
    assert trained(generator) + statistics(generator) == 856_193
    assert trained(discriminator) + statistics(discriminator) == 393_729


def test_paper_64_is_as_wide_as_figure_1(build: Build) -> None:
    generator, discriminator = build("paper-64")
    widths = [layer.num_features for layer in generator if isinstance(layer, nn.BatchNorm2d)]
    assert widths == [1024, 512, 256, 128]
    norms = 2 * sum(widths)
    transposed = 16 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3) + 3
    assert trained(generator) == 100 * 1024 * 16 + transposed + norms == 12_658_435
    widths = [layer.out_channels for layer in discriminator if isinstance(layer, nn.Conv2d)]
    assert widths == [128, 256, 512, 1024]
    assert trained(discriminator) == 11_036_289


def test_leaky_64_is_half_as_wide(build: Build) -> None:
    generator, discriminator = build("leaky-64")
    assert (trained(generator), trained(discriminator)) == (3_576_707, 2_765_633)


def test_dcgan_28_is_no_larger_than_keras_28(build: Build) -> None:
    generator, _ = build("dcgan-28")
    assert trained(generator) == 287_364
    assert trained(generator) + statistics(generator) <= 840_705


def test_dcgan_64_is_small_enough_for_a_cpu(build: Build) -> None:
    generator, _ = build("dcgan-64")
    assert trained(generator) == 447_148


# Layers.

DOUBLED = "ConvTranspose2d BatchNorm2d {0} "
STACKS = {
    "paper-64": (
        "Linear Unflatten BatchNorm2d ReLU " + 3 * DOUBLED.format("ReLU") + "ConvTranspose2d Tanh",
        "Conv2d LeakyReLU " + 3 * "Conv2d BatchNorm2d LeakyReLU " + "Flatten Linear",
    ),
    "leaky-64": (
        "Linear Unflatten BatchNorm2d LeakyReLU "
        + 3 * DOUBLED.format("LeakyReLU")
        + "ConvTranspose2d Tanh",
        "Conv2d LeakyReLU " + 3 * "Conv2d BatchNorm2d LeakyReLU " + "Flatten Linear",
    ),
    "keras-28": (
        "Linear Unflatten BatchNorm2d ConvTranspose2d SELU BatchNorm2d ConvTranspose2d Tanh",
        2 * "Conv2d LeakyReLU Dropout " + "Flatten Linear",
    ),
    "upsample-28": (
        "Linear Unflatten ReLU " + 2 * "Upsample Conv2d BatchNorm2d ReLU " + "Conv2d Tanh",
        "Conv2d LeakyReLU Dropout "
        + 3 * "Conv2d BatchNorm2d LeakyReLU Dropout "
        + "Flatten Linear",
    ),
    "dcgan-28": (
        (
            "Linear Unflatten BatchNorm2d ReLU Residual ReLU Residual ReLU "
            "Conv2d BatchNorm2d ReLU Upsample Residual ReLU Conv2d PixelShuffle Tanh"
        ),
        3 * "Conv2d LeakyReLU " + "Flatten Linear",
    ),
    "dcgan-64": (
        "Linear Unflatten BatchNorm2d ReLU "
        + "".join(
            blocks * "Residual ReLU " + "Conv2d BatchNorm2d ReLU Upsample " for blocks in (4, 3)
        )
        + 2 * "Residual ReLU "
        + "Conv2d PixelShuffle Tanh",
        4 * "Conv2d LeakyReLU " + "Flatten Linear",
    ),
}
STACKS["uniform-28"] = STACKS["keras-28"]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_stacks_are_the_published_ones(build: Build, preset: str) -> None:
    assert tuple(map(kinds, build(preset))) == STACKS[preset]


@pytest.mark.parametrize(("preset", "kernel"), [("paper-64", 4), ("leaky-64", 4), ("keras-28", 5)])
def test_every_convolution_has_stride_two(build: Build, preset: str, kernel: int) -> None:
    for network in build(preset):
        convolutions = [
            layer for layer in network if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        ]
        assert {(c.kernel_size, c.stride) for c in convolutions} == {((kernel, kernel), (2, 2))}


def test_three_of_four_convolutions_of_upsample_28_are_strided(build: Build) -> None:
    convolutions = [layer for layer in build("upsample-28")[1] if isinstance(layer, nn.Conv2d)]
    assert [layer.stride[0] for layer in convolutions] == [2, 2, 2, 1]
    assert [layer.out_channels for layer in convolutions] == [32, 64, 128, 256]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}


@pytest.mark.parametrize(("preset", "share"), [*((p, 0.3) for p in KERAS), ("upsample-28", 0.25)])
def test_dropout_follows_every_hidden_layer(build: Build, preset: str, share: float) -> None:
    layers = list(build(preset)[1])
    dropouts = [layer for layer in layers if isinstance(layer, nn.Dropout)]
    assert len(dropouts) == sum(isinstance(layer, nn.Conv2d) for layer in layers)
    assert {layer.p for layer in dropouts} == {share}


@pytest.mark.parametrize("preset", PRESETS)
def test_slopes_are_a_fifth(build: Build, preset: str) -> None:
    leaky = [layer for stack in build(preset) for layer in stack if isinstance(layer, nn.LeakyReLU)]
    assert leaky
    assert {layer.negative_slope for layer in leaky} == {0.2}


@pytest.mark.parametrize(
    ("preset", "momentum", "eps"), [("keras-28", 0.01, 1e-3), ("paper-64", 0.1, 1e-5)]
)
def test_batch_norm_is_the_recipes(build: Build, preset: str, momentum: float, eps: float) -> None:
    norms = [layer for layer in build(preset)[0] if isinstance(layer, nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(momentum, eps)}


# Initial weights.


@pytest.mark.parametrize("preset", ["keras-28", "upsample-28"])
def test_glorot_weights_are_uniform_up_to_their_limit(build: Build, preset: str) -> None:
    for layer in (layer for stack in build(preset) for layer in stack):
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.eq(1).all()
            assert not layer.bias.any()
        elif isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            field = layer.weight[0, 0].numel()
            limit = (6 / (field * sum(layer.weight.shape[:2]))) ** 0.5
            assert layer.weight.abs().max() <= limit
            assert layer.weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.05)
            assert layer.bias is not None
            assert not layer.bias.any()


def test_the_papers_weights_are_normal(build: Build) -> None:
    for layer in (layer for stack in build("paper-64") for layer in stack):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_the_same_seed_gives_the_same_initial_weights() -> None:
    config = from_flags({"generator_filters": 2, "discriminator_filters": 2})
    first, second = (Gan(config, shape(config), CPU).generator.state_dict() for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


# Options that every stack accepts.


@pytest.mark.parametrize("stack", ["paper", "deeper", "deepest", "keras", "upsample"])
@pytest.mark.parametrize(
    ("activation", "kind"), [("relu", nn.ReLU), ("leaky", nn.LeakyReLU), ("selu", nn.SELU)]
)
def test_every_generator_accepts_every_activation(
    stack: Any, activation: Any, kind: type[nn.Module]
) -> None:
    architecture = Architecture(generator=stack, activation=activation)
    network = networks.generator(3, 1, ImageSize.square(16), 2, architecture)
    assert any(isinstance(layer, kind) for layer in network)


@pytest.mark.parametrize("stack", ["paper", "deeper", "keras", "upsample"])
def test_every_discriminator_accepts_spectral_norm_in_place_of_batch_norm(stack: Any) -> None:
    network = networks.discriminator(
        1, ImageSize.square(16), 2, True, Architecture(discriminator=stack, dropout=0.1)
    )
    for layer in network:
        assert not isinstance(layer, nn.BatchNorm2d)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert nn.utils.parametrize.is_parametrized(layer)


def test_a_second_convolution_on_one_channel_still_has_batch_norm() -> None:
    network = networks.discriminator(
        1, ImageSize.square(16), 1, False, Architecture(discriminator="paper", batch_norm=True)
    )
    assert kinds(network) == "Conv2d LeakyReLU Conv2d BatchNorm2d LeakyReLU Flatten Linear"


# From the first step to the graph.


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_trains_and_its_onnx_graph_matches_pytorch(preset: str) -> None:
    small = {"generator_filters": 4, "discriminator_filters": 4, "latent_dim": 7, "batch_size": 4}
    config = from_flags({"preset": preset, **small, "precision": "fp32"})
    gan = Gan(config, shape(config), CPU)
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, *shape(config)), dtype=torch.uint8, generator=random)
    *_, report = train(gan, TrainingData(images), 2)
    assert (report.step, report.epoch_done) == (2, True)
    generator = gan.averaged_generator()
    with torch.no_grad():
        last = [layer for layer in generator if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)][
            -1
        ]
        last.weight.mul_(40)  # from shades of grey to black and white
    channels, height, width = shape(config)
    content = build_graph(generator, config.latent_dim, (height, width, channels), {})
    seeds = sampling.from_seeds(range(32), config.latent_dim, config.prior)
    expected = to_pixels(generator, torch.from_numpy(seeds))
    pixels, share = parity.check(expected, content, seeds)
    assert pixels.shape == (32, height, width, channels)
    assert pixels.std() > 50
    assert share.value <= 0.001


def test_without_averaging_the_averaged_generator_has_the_generators_weights() -> None:
    config = from_flags({"preset": "keras-28", "generator_filters": 2, "discriminator_filters": 2})
    gan = Gan(config, (1, 16, 16), CPU)
    images = torch.zeros(64, 1, 16, 16, dtype=torch.uint8)
    for _ in train(gan, TrainingData(images), 2):
        pass
    finished = dict(gan.averaged_generator().named_parameters())
    for name, weights in gan.generator.named_parameters():
        assert finished[name].equal(weights)
