"""``fit --init-from``: the weights with which new networks begin, and FreezeD."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.artifact import card
from app.latent.conditions import ClassSampler
from training.__main__ import main
from training.config import Config
from training.errors import RunError
from training.export import initial_weights
from training.gan.gan import Gan
from training.loop import checkpoint
from training.run.journal import Run

Fit = Callable[..., int]
Make = Callable[..., Gan]
CPU = torch.device("cpu")
CLASSES = ClassSampler(("a", "b", "c"), (0.2, 0.3, 0.5))


@pytest.fixture
def fresh(finished_run: Path) -> Make:
    """Makes new networks like those of the finished run, from another seed."""
    config, data = Run(finished_run).config(), Run(finished_run).data()

    def made(sampler: ClassSampler | None = None, **options: object) -> Gan:
        changed = Config.model_validate({**config.model_dump(), "seed": 99, **options})
        return Gan(changed, data.shape, CPU, sampler=sampler)

    return made


def weights(network: nn.Module) -> dict[str, Tensor]:
    state = network.state_dict()
    return {name: state[name] for name in state if "num_batches" not in name}


def assert_equal(network: nn.Module, expected: dict[str, Tensor]) -> None:
    for name, values in weights(network).items():
        assert values.equal(expected[name]), name


# Where weights come from.


def test_a_run_gives_all_weights_of_its_networks(finished_run: Path, fresh: Make) -> None:
    gan, saved = fresh(), checkpoint.load(Run(finished_run).checkpoint)
    lines = [*initial_weights.begin(gan, finished_run)]
    assert lines == [
        f"{name}: weights of {finished_run}, last.pt" for name in ("generator", "discriminator")
    ]
    for name in ("generator", "discriminator", "average"):
        assert_equal(getattr(gan, name), saved[name])


def test_spectral_norm_is_kept(fit: Fit, tmp_path: Path, fresh: Make) -> None:
    assert fit(tmp_path / "run", "--spectral-norm", "--epochs", 1) == 0
    gan, saved = fresh(spectral_norm=True), checkpoint.load(Run(tmp_path / "run").checkpoint)
    assert len([*initial_weights.begin(gan, tmp_path / "run")]) == 2
    assert_equal(gan.discriminator, saved["discriminator"])
    with pytest.raises(RunError, match="no weight of its discriminator has a shape that fits"):
        [*initial_weights.begin(fresh(batch_norm=False), tmp_path / "run")]


@pytest.mark.parametrize("named", ["version", "model"])
def test_a_published_model_gives_its_generator(
    version: Path, finished_run: Path, fresh: Make, named: str
) -> None:
    gan = fresh()
    before = {name: values.clone() for name, values in weights(gan.discriminator).items()}
    source = version if named == "version" else version.parent
    assert [*initial_weights.begin(gan, source)] == ["generator: weights of tiny/3"]
    saved = checkpoint.load(Run(finished_run).checkpoint)["average"]
    for name, values in gan.generator.named_parameters():
        assert values.equal(saved[f"module.{name}"]), name
    for name, values in weights(gan.average.module).items():
        assert values.equal(weights(gan.generator)[name]), name
    assert_equal(gan.discriminator, before)


def test_the_state_dict_of_the_example_gives_its_generator(tmp_path: Path, make_gan: Make) -> None:
    torch.manual_seed(3)
    example = nn.Sequential(
        nn.ConvTranspose2d(4, 4, 4, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 2, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.ConvTranspose2d(2, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    for layer in example:
        if isinstance(layer, nn.BatchNorm2d):
            for values in (layer.weight.data, layer.running_mean, layer.running_var):
                assert values is not None
                values.uniform_(0.5, 2)
    torch.save({f"main.{name}": t for name, t in example.state_dict().items()}, tmp_path / "g.pth")
    gan = make_gan(generator="paper")
    assert [*initial_weights.begin(gan, tmp_path / "g.pth")] == ["generator: weights of g.pth"]
    latents = torch.randn(5, 4)
    with torch.no_grad():
        expected = example.eval()(latents[:, :, None, None])
        torch.testing.assert_close(gan.generator.eval()(latents), expected)


# Shapes that differ.


def test_a_generator_of_classes_keeps_the_columns_of_its_latents(
    finished_run: Path, fresh: Make
) -> None:
    gan, saved = fresh(CLASSES), checkpoint.load(Run(finished_run).checkpoint)
    lines = [*initial_weights.begin(gan, finished_run)]
    rows = saved["generator"]["0.weight"].shape[0]
    assert lines == [
        f"generator: weights of {finished_run}, last.pt, except",
        f"  0.weight: ({rows}, 7) here, ({rows}, 4) there; the columns of the latents are kept",
        f"discriminator: weights of {finished_run}, last.pt",
    ]
    for network in (gan.generator, gan.average.module):
        assert weights(network)["0.weight"][:, :4].equal(
            saved["generator" if network is gan.generator else "average"][
                "0.weight" if network is gan.generator else "module.0.weight"
            ]
        )
    assert weights(gan.discriminator)["maps.0.weight"].equal(saved["discriminator"]["0.weight"])


def test_more_residual_blocks_change_nothing_at_first(finished_run: Path, fresh: Make) -> None:
    gan, source = fresh(generator_blocks=4, generator_mapping=1), fresh()
    header, *added = (line for line in initial_weights.begin(gan, finished_run) if line[0] != "d")
    assert header.endswith("last.pt, except")
    assert len(added) == 3  # one maps latents, two are on the feature map
    assert {line.partition(": ")[2] for line in added} == {
        "a new residual block, which changes nothing at first"
    }
    assert len([*initial_weights.begin(source, finished_run)]) == 2
    latents = torch.randn(8, gan.config.latent_dim)
    for one, other in (
        (gan.generator, source.generator),
        (gan.average.module, source.average.module),
    ):
        with torch.no_grad():
            assert one.eval()(latents).equal(other.eval()(latents))
    with pytest.raises(RunError, match="the networks differ"):  # a shallower one has no place
        [*initial_weights.begin(fresh(generator_blocks=1), finished_run)]


def test_weights_of_another_shape_are_named_and_stay_new(finished_run: Path, fresh: Make) -> None:
    gan = fresh(latent_dim=6)
    before = weights(gan.generator)["0.weight"].clone()
    lines = [*initial_weights.begin(gan, finished_run)]
    rows = len(before)
    assert f"  0.weight: ({rows}, 6) here, ({rows}, 4) there" in lines
    assert weights(gan.generator)["0.weight"].equal(before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"generator": "keras"},
            r"differ: layer . of the generator is .* here; use the same --preset",
        ),
        (
            {"batch_norm": True},
            r"layer 3 of the discriminator is a convolution \(4\) there and batch norm \(3\) here",
        ),
        ({"generator_filters": 3, "latent_dim": 5}, "no weight of its generator has a shape that"),
    ],
)
def test_other_networks_are_refused(
    finished_run: Path, fresh: Make, options: dict[str, object], message: str
) -> None:
    with pytest.raises(RunError, match=f"^--init-from {finished_run}: .*{message}"):
        [*initial_weights.begin(fresh(**options), finished_run)]


def test_what_is_no_network_is_refused(
    tmp_path: Path, version: Path, fresh: Make, make_gan: Make
) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    copy = tmp_path / "tiny" / "3"
    shutil.copytree(version, copy)
    (copy / card.read(copy).variants[0].file).write_bytes(b"")
    shutil.copytree(version, tmp_path / "other" / "3")
    (tmp_path / "other" / "default").write_text("the best")
    for source, message in (
        (tmp_path / "other", "default: must be a file that contains the number of a version"),
        (tmp_path / "nothing", "neither a run, nor a published model such as models/digits, nor "),
        (tmp_path / "text.pth", "text.pth: not a state dict, or damaged"),
        (copy, "generator.onnx: has SHA-256"),
    ):
        with pytest.raises(RunError, match=f"^--init-from .*{message}"):
            [*initial_weights.begin(fresh(), source)]
    with pytest.raises(RunError, match=r"--freeze-discriminator 1: .* has no discriminator"):
        [*initial_weights.begin(make_gan(freeze_discriminator=1), version)]


# The command.


def test_a_run_begins_with_the_weights_of_another(
    fit: Fit, finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    still = ["--epochs", 1, "--generator-lr", 1e-30, "--discriminator-lr", 1e-30, "--seed", 8]
    assert fit(tmp_path / "next", "--init-from", finished_run, *still) == 0
    assert f"generator: weights of {finished_run}, last.pt" in capsys.readouterr().out
    before, after = (
        checkpoint.load(Run(folder).checkpoint) for folder in (finished_run, tmp_path / "next")
    )
    assert (before["step"], after["step"]) == (10, 5)
    for name in ("0.weight", "4.0.weight"):
        torch.testing.assert_close(after["generator"][name], before["generator"][name])
    assert fit(tmp_path / "next", "--resume", "--epochs", 2) == 0
    assert (
        main(["export", str(tmp_path / "next"), "--name=n", "--version=1", f"--models={tmp_path}"])
        == 0
    )
    options = card.read(tmp_path / "n" / "1").training.options
    assert options["init_from"] == "/".join(finished_run.parts[-2:])


def test_frozen_layers_keep_their_weights(fit: Fit, finished_run: Path, tmp_path: Path) -> None:
    flags = ["--init-from", finished_run, "--freeze-discriminator", 1, "--r1-gamma", 0.1]
    assert fit(tmp_path / "next", *flags, "--seed", 8) == 0
    before, after = (
        checkpoint.load(Run(folder).checkpoint)["discriminator"]
        for folder in (finished_run, tmp_path / "next")
    )
    trained = {name for name in after if not after[name].equal(before[name])}
    assert not {name for name in trained if name.startswith("0.")}
    assert {"2.weight", "4.weight"} <= trained


def test_frozen_convolutions_include_their_norms(make_gan: Make) -> None:
    trained = [*make_gan(freeze_discriminator=2, batch_norm=True).discriminator.named_parameters()]
    convolutions = [name for name, each in trained if each.ndim == 4 and not each.requires_grad]
    assert len(convolutions) == 2
    assert all(
        each.requires_grad == (int(name.split(".")[0]) > int(convolutions[-1].split(".")[0]) + 1)
        for name, each in trained
    )


def test_frozen_layers_need_weights_and_must_exist(
    fit: Fit, finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", "--freeze-discriminator", 1) == 1
    assert "--freeze-discriminator 1: needs --init-from" in capsys.readouterr().err
    flags = ["--init-from", finished_run, "--freeze-discriminator", 9]
    assert fit(tmp_path / "run", *flags) == 1
    assert "--freeze-discriminator 9: the discriminator has 3 convol" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
