import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from training.config import ADJUSTABLE, PLACEMENT, Config, for_images, from_flags, resumed
from training.errors import RunError

OTHER: dict[str, Any] = {
    "dataset": "mnist",
    "image_size": 32,
    "generator": "keras",
    "discriminator": "upsample",
    "activation": "leaky",
    "initialisation": "glorot",
    "batch_norm": True,
    "dropout": 0.25,
    "norm_momentum": 0.01,
    "norm_eps": 1e-3,
    "epochs": 99,
    "images_seen": 10**6,
    "batch_size": 48,
    "seed": 5,
    "latent_dim": 32,
    "prior": "uniform",
    "generator_filters": 16,
    "discriminator_filters": 16,
    "spectral_norm": True,
    "loss": "hinge",
    "r1_gamma": 10.0,
    "r2_gamma": 0.5,
    "penalty_interval": 16,
    "augment": "translation,cutout",
    "mirror": True,
    "generator_lr": 3e-4,
    "discriminator_lr": 3e-4,
    "beta1": 0.0,
    "beta2": 0.9,
    "decay_from": 0.9,
    "average_decay": 0.9,
    "collapse_epochs": 0,
    "score_every": 5,
    "checkpoint_minutes": 0.5,
    "data_dir": Path("elsewhere"),
    "features": Path("features.pt"),
    "test_share": 0.1,
    "init_from": Path("models/digits"),
    "freeze_discriminator": 2,
    "teacher": Path("models/fashion-mnist"),
    "teacher_weight": 3.0,
    "device": "cpu",
    "precision": "fp32",
    "execution": "graph",
    "threads": 3,
    "track": "mlflow,wandb",
}
"""A value other than the default for every option that has one."""


def test_without_flags_the_options_are_the_default_recipe() -> None:
    config = from_flags({})
    assert config == from_flags({"preset": "dcgan-28"}) == Config()
    assert (config.preset, config.loss, config.spectral_norm) == ("dcgan-28", "bce", False)
    assert (config.generator_lr, config.discriminator_lr) == (2e-3, 1e-3)


def test_flags_override_the_recipe_as_text_from_the_command_line() -> None:
    config = from_flags({name: str(value) for name, value in OTHER.items()})
    assert config.model_dump(include=set(OTHER)) == OTHER


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dataset", ["cifar-10"]),
        ("image_size", [12, 30, 260, "64x", "x64", "64x65", "64x96x3", "64 x 96", "-64", "64.0"]),
        ("track", ["neptune", "wandb,wandb", "none,wandb"]),
        ("preset", ["dcgan-256"]),
        ("epochs", [0, -1, 1.5, "many"]),
        ("images_seen", [0, 1.5]),
        ("batch_size", [1]),
        ("seed", [-1, 2**32]),
        ("test_share", [-0.1, 0.21]),
        ("freeze_discriminator", [-1, 0.5]),
        ("latent_dim", [0, 4097]),
        ("prior", ["cauchy"]),
        ("generator_filters", [4097, 0]),
        ("discriminator_filters", [4097, 0]),
        ("spectral_norm", ["perhaps"]),
        ("generator", ["resnet"]),
        ("discriminator", ["resnet"]),
        ("activation", ["tanh"]),
        ("initialisation", ["zero"]),
        ("dropout", [-0.1, 1, math.nan]),
        ("norm_momentum", [0, 1.1, math.nan]),
        ("norm_eps", [0, 1, math.nan]),
        ("loss", ["wgan"]),
        ("r1_gamma", [-1, math.nan, math.inf]),
        ("r2_gamma", [-1, math.nan, math.inf]),
        ("penalty_interval", [0, 0.5]),
        ("augment", ["blur", "color,", "color,color", "color cutout", ",", "none,color"]),
        ("generator_lr", [0, -1e-4, math.nan, math.inf]),
        ("discriminator_lr", [0, -1e-4, math.nan, math.inf]),
        ("beta1", [-0.1, 1, math.nan]),
        ("beta2", [-0.1, 1, math.nan]),
        ("decay_from", [-0.1, 1.1, math.nan]),
        ("batch_norm", ["perhaps"]),
        ("average_decay", [-0.1, 1, math.nan]),
        ("score_every", [-1, 0.5]),
        ("collapse_epochs", [-1, 0.5]),
        ("checkpoint_minutes", [-1, 0, math.nan]),
        ("device", ["tpu"]),
        ("precision", ["fp16"]),
        ("execution", ["fast"]),
        ("threads", [-1, 1025, 10**12]),
    ],
)
def test_a_value_out_of_bounds_is_an_error(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ValidationError) as caught:
            from_flags({name: value})
        assert [problem["loc"] for problem in caught.value.errors()] == [(name,)], value


@pytest.mark.parametrize(
    ("augment", "policy"),
    [
        ("none", ()),
        ("", ()),
        ("ada", ()),
        ("cutout", ("cutout",)),
        ("cutout,color", ("cutout", "color")),
    ],
)
def test_an_augmentation_policy_keeps_its_order(augment: str, policy: tuple[str, ...]) -> None:
    assert from_flags({"augment": augment}).policy == policy


def test_auto_augments_small_data_only() -> None:
    small, large = (for_images(Config(), count) for count in (9_999, 10_000))
    assert (small.policy, large.policy) == (("color", "translation", "cutout"), ())
    assert for_images(from_flags({"augment": "none"}), 100).policy == ()
    assert for_images(from_flags({"augment": "cutout"}), 10**6).policy == ("cutout",)
    assert for_images(from_flags({"preset": "paper-64"}), 100).policy == ()


def test_adaptive_augmentation_stands_alone_whatever_the_size_of_the_data() -> None:
    for count in (9_999, 10_000):
        assert for_images(from_flags({"augment": "ada"}), count).is_adaptive
        assert not for_images(Config(), count).is_adaptive
    for augment in ("ada,color", "color,ada", "ada,ada"):
        with pytest.raises(ValidationError, match="must be auto, none or ada alone, or color,"):
            from_flags({"augment": augment})


def test_auto_is_what_it_was_when_the_run_began() -> None:
    saved = for_images(Config(), 100)
    assert resumed(saved, {"augment": "auto"}) == saved


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", 0), ("seed", 2**32 - 1), ("latent_dim", 1), ("latent_dim", 4096), ("batch_size", 2)],
)
def test_a_value_on_its_bound_is_accepted(name: str, value: int) -> None:
    assert getattr(from_flags({name: value}), name) == value


def test_an_unknown_option_is_an_error() -> None:
    with pytest.raises(ValidationError, match="colour"):
        from_flags({"colour": "blue"})


def test_options_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().epochs = 3


def test_options_are_read_back_from_their_file() -> None:
    config = from_flags(OTHER)
    assert Config.model_validate_json(config.model_dump_json()) == config


def test_a_resumed_run_has_the_options_it_began_with() -> None:
    saved = from_flags(OTHER)
    assert resumed(saved, {}) == saved
    assert resumed(saved, {name: str(value) for name, value in OTHER.items()}) == saved


@pytest.mark.parametrize("name", sorted(ADJUSTABLE))
def test_options_of_place_and_length_may_change(name: str) -> None:
    merged = resumed(Config(), {name: OTHER[name]})
    assert merged == Config(**{name: OTHER[name]}) != Config()
    assert PLACEMENT < ADJUSTABLE


@pytest.mark.parametrize("name", sorted(OTHER.keys() - ADJUSTABLE))
def test_options_that_change_the_result_may_not_change(name: str) -> None:
    with pytest.raises(RunError) as caught:
        resumed(Config(), {name: OTHER[name]})
    for value in (OTHER[name], getattr(Config(), name)):
        flag = f"--{name.replace('_', '-')} {value}"
        flag = flag.replace("--image-size None", "no --image-size")
        flag = flag.replace("--dataset None", "no --dataset")
        flag = flag.replace("--init-from None", "no --init-from")
        flag = flag.removesuffix(" True")
        if flag.endswith(" False"):
            flag = flag.removesuffix(" False").replace("--", "--no-", 1)
        assert flag in str(caught.value)


def test_a_new_number_of_images_replaces_the_epochs_of_a_run() -> None:
    assert resumed(Config(epochs=3), {"images_seen": "99"}) == Config(images_seen=99)
    assert resumed(Config(epochs=3), {"images_seen": 99, "epochs": 4}).epochs == 4


def test_a_resumed_run_may_read_its_folder_of_images_in_another_place() -> None:
    began = Config(dataset="folder:here/pictures")
    assert resumed(began, {"dataset": "folder:/there/pictures"}).dataset == "folder:/there/pictures"
    for other in ("folder:/there/photos", "mnist"):
        with pytest.raises(RunError, match="began with --dataset folder:here/pictures"):
            resumed(began, {"dataset": other})


def test_a_run_is_not_resumed_with_values_out_of_bounds() -> None:
    with pytest.raises(ValidationError, match="epochs"):
        resumed(Config(), {"epochs": 0})
