"""``import``: a generator of PyTorch's DCGAN example from its state dict, and nothing else."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import nn

from app.artifact import card
from app.main import create_app
from app.settings import Settings
from tests.dcgan_example import WIDTH, Example, expected, trained

Change = Callable[[dict[str, torch.Tensor]], object]
Draw = Callable[[int], NDArray[np.uint8]]


@pytest.mark.parametrize(
    ("size", "channels", "norm", "parallel"),
    [
        (16, 1, True, False),
        (16, 3, False, False),
        (32, 3, True, True),
        (32, 1, False, True),
        (64, 3, True, False),
    ],
    ids=[
        "batch norm, grey",
        "biases",
        "batch norm, several GPUs",
        "biases, several GPUs",
        "batch norm, 64",
    ],
)
def test_a_state_dict_becomes_a_version_that_draws_the_same(
    tmp_path: Path,
    publish: Callable[..., int],
    drawn: Draw,
    size: int,
    channels: int,
    norm: bool,
    parallel: bool,
) -> None:
    network = trained(Example(size, channels, norm))
    saved = nn.ModuleDict({"module": network}) if parallel else network
    torch.save(saved.state_dict(), tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth", "--dataset", "mine", "--licence", "CC0") == 0
    described = card.read(tmp_path / "models/mine/1")
    assert (described.latent.width, described.latent.prior) == (WIDTH, "normal")
    assert described.image.model_dump(include={"height", "channels"}) == {
        "height": size,
        "channels": channels,
    }
    assert (described.dataset.name, described.dataset.licence) == ("mine", "CC0")
    assert described.dataset.images is None
    assert_same(drawn(4), expected(network, 4))


def assert_same(found: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> None:
    assert found.shape == wanted.shape
    difference = np.abs(found.astype(int) - wanted)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001


def test_the_server_draws_an_imported_generator(
    tmp_path: Path, publish: Callable[..., int]
) -> None:
    network = trained(Example(16, 1))
    torch.save(network.state_dict(), tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 0
    settings = Settings(models=tmp_path / "models", load_timeout=0, load_memory=0)
    with TestClient(create_app(settings)) as client:
        answer = client.get("/images/mine/1/3.png")
    with Picture.open(io.BytesIO(answer.content)) as picture:
        assert_same(np.asarray(picture)[None, :, :, None], expected(network, 4)[3:])


def test_versions_count_up(tmp_path: Path, publish: Callable[..., int]) -> None:
    torch.save(Example(16).state_dict(), tmp_path / "netG.pth")
    for version in (1, 2):
        assert publish("import", tmp_path / "netG.pth") == 0
        assert (tmp_path / f"models/mine/{version}/card.json").exists()
    assert publish("import", tmp_path / "netG.pth", "--version", 9) == 0
    assert publish("import", tmp_path / "netG.pth") == 0
    assert card.version_numbers(tmp_path / "models/mine") == [1, 2, 9, 10]


def replace(name: str, *shape: int) -> Change:
    return lambda state: state.update({name: torch.zeros(shape)})


MISFITS: list[tuple[Change, str]] = [
    (
        replace("main.3.weight", 9, 4, 4, 4),
        "main.3.weight: has the shape (9, 4, 4, 4), not (8, 4, 4, 4)",
    ),
    (
        replace("main.0.weight", WIDTH, 8, 5, 5),
        f"main.0.weight: has the shape ({WIDTH}, 8, 5, 5), not ({WIDTH}, 8, 4, 4)",
    ),
    (
        replace("main.3.weight", 16, 8),
        "main.3.weight: has the shape (16, 8), not (8, n, 4, 4)",
    ),
    (replace("main.0.weight"), "main.0.weight: has the shape (), not (z, n, 4, 4)"),
    (
        replace("main.1.running_var", 3),
        "main.1.running_var: has the shape (3,), not (8,)",
    ),
    (
        replace("main.6.weight", 4, 2, 4, 4),
        "main.6.weight: has 2 output channels, not 1 or 3",
    ),
    (replace("main.0.weight", 5000, 8, 4, 4), "latents have 5000 numbers, but at most 4096"),
    (replace("main.0.weight", 0, 8, 4, 4), "has the shape (0, 8, 4, 4), which is empty"),
    (lambda state: state.pop("main.1.bias"), "main.1.bias: is missing"),
    (lambda state: state.pop("main.1.running_var"), "main.1.running_var: is missing"),
    (lambda state: state.pop("main.0.weight"), "main.0.weight: is missing"),
    (replace("main.0.mask", 3), "main.0.mask: is unknown"),
    (replace("main.0.bias", 3), "main.0.bias: has the shape (3,), not (8,)"),
    (lambda state: state.update(epoch=torch.zeros(1)), "epoch is not a tensor of a numbered layer"),
]


@pytest.mark.parametrize(("change", "words"), MISFITS, ids=[words for _, words in MISFITS])
def test_a_tensor_that_does_not_fit_is_refused_with_its_name_and_both_shapes(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    change: Change,
    words: str,
) -> None:
    state = dict(Example(size=16).state_dict())
    state["main.0.extra"] = torch.zeros(1)  # so that main.0 is there without its weight
    if "main.0.weight: is missing" not in words:
        del state["main.0.extra"]
    change(state)
    torch.save(state, tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def sequential(*layers: nn.Module) -> dict[str, torch.Tensor]:
    return dict(nn.ModuleDict({"main": nn.Sequential(*layers)}).state_dict())


def up(before: int, after: int, stride: int = 2) -> nn.Module:
    return nn.ConvTranspose2d(before, after, 4, stride, stride - 1)


def named(**modules: nn.Module) -> dict[str, torch.Tensor]:
    return dict(nn.ModuleDict(modules).state_dict())


OTHERS: list[tuple[str, dict[str, torch.Tensor], str]] = [
    (
        "two layers of one number",
        named(
            conv1=nn.Sequential(up(WIDTH, 8, 1), nn.BatchNorm2d(8), nn.ReLU()),
            out=nn.Sequential(up(8, 3), nn.Tanh()),
        ),
        "conv1.0 and out.0 have the same number",
    ),
    (
        "two modules",
        named(
            head=nn.Sequential(up(WIDTH, 8, 1)),
            body=nn.Sequential(nn.ReLU(), nn.ReLU(), up(8, 4), nn.ReLU(), up(4, 3), nn.Tanh()),
        ),
        "its layers belong to several modules, body, head",
    ),
    (
        "InstanceNorm",
        sequential(up(WIDTH, 8, 1), nn.InstanceNorm2d(8), nn.ReLU(), up(8, 3), nn.Tanh()),
        "main.3: does not follow main.0 directly",
    ),
    (
        "Dropout",
        sequential(up(WIDTH, 8, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), up(8, 3)),
        "main.4: does not follow main.1 directly",
    ),
    (
        "no activation",
        sequential(up(WIDTH, 8, 1), up(8, 3)),
        "main.1: does not follow main.0 directly",
    ),
    (
        "batch norm after the activation",
        sequential(up(WIDTH, 8, 1), nn.ReLU(), nn.BatchNorm2d(8), up(8, 3)),
        "main.2: does not follow main.0 directly",
    ),
    (
        "a layer before the first",
        sequential(nn.ReLU(), up(WIDTH, 8, 1), nn.ReLU(), up(8, 3)),
        "main.1: is the first layer with tensors, but that must be a convolution",
    ),
    (
        "batch norm first",
        sequential(nn.BatchNorm2d(WIDTH), up(WIDTH, 8, 1), nn.ReLU(), up(8, 3)),
        "main.0: is the first layer with tensors",
    ),
    (
        "batch norm alone",
        sequential(nn.BatchNorm2d(8)),
        "main.0: is the first layer with tensors",
    ),
    (
        "InstanceNorm with weights",
        sequential(up(WIDTH, 8, 1), nn.InstanceNorm2d(8, affine=True), nn.ReLU(), up(8, 3)),
        "main.1: has a weight but no running_mean, so it is either InstanceNorm or batch norm",
    ),
    (
        "blocks that may contain anything",
        sequential(
            nn.Sequential(up(WIDTH, 8, 1), nn.InstanceNorm2d(8), nn.ReLU()),
            nn.Sequential(up(8, 3), nn.Tanh()),
        ),
        "main.1.0: does not follow main.0.0 directly",
    ),
    ("one convolution", sequential(up(WIDTH, 3, 1), nn.Tanh()), "main.0: is convolution 1, but"),
    (
        "layers with names",
        named(tconv1=up(WIDTH, 8, 1), tconv2=up(8, 3)),
        "tconv1.weight is not a tensor of a numbered layer",
    ),
    (
        "a dense layer first",
        sequential(nn.Linear(WIDTH, 128), nn.Unflatten(1, (8, 4, 4)), up(8, 3)),
        "main.0.weight: has the shape (128, 10), not (128, n, 4, 4)",
    ),
    (
        "a discriminator",
        sequential(nn.Conv2d(3, 8, 4, bias=False), nn.LeakyReLU(), nn.Conv2d(8, 1, 4)),
        "main.2.weight: has the shape (1, 8, 4, 4), not (3, 8, 4, 4)",
    ),
]


@pytest.mark.parametrize(
    ("state", "words"), [row[1:] for row in OTHERS], ids=[row[0] for row in OTHERS]
)
def test_another_network_than_the_familys_is_refused(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    state: dict[str, torch.Tensor],
    words: str,
) -> None:
    torch.save(state, tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 1
    assert f"netG.pth: {words}" in (error := capsys.readouterr().err)
    assert "use adopt" in error or "is convolution 1" in error
    assert not (tmp_path / "models").exists()


def test_layers_may_be_grouped_into_blocks(
    tmp_path: Path, publish: Callable[..., int], drawn: Draw
) -> None:
    network = trained(Example(16))
    layers = list(network.main)
    blocks = nn.Sequential(*[nn.Sequential(*layers[k : k + 3]) for k in (0, 3)], *layers[6:])
    torch.save(nn.ModuleDict({"net": blocks}).state_dict(), tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 0
    assert_same(drawn(4), expected(network, 4))


def test_batch_norm_may_have_no_weights(
    tmp_path: Path, publish: Callable[..., int], drawn: Draw
) -> None:
    network = Example(16)
    for k in (1, 4):
        network.main[k] = nn.BatchNorm2d(len(network.main[k].weight), affine=False)  # type: ignore[arg-type]
    network(torch.randn(32, WIDTH, 1, 1))
    torch.save(network.eval().state_dict(), tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 0
    assert_same(drawn(4), expected(network, 4))


INVISIBLE: list[tuple[str, dict[str, Any], list[str], str]] = [
    (
        "leaky",
        {"activation": lambda: nn.LeakyReLU(0.2)},
        ["--activation", "leaky"],
        "LeakyReLU(0.2)",
    ),
    ("selu", {"activation": nn.SELU}, ["--activation", "selu"], "SELU"),
    ("sigmoid", {"last": nn.Sigmoid}, ["--range", "sigmoid"], "sigmoid"),
    ("eps", {"eps": 0.8}, ["--norm-eps", "0.8"], "eps 0.8"),
    ("28×28", {"size": 32, "crop": 2}, ["--image-size", "28"], "28×28"),
]


@pytest.mark.parametrize(
    ("kinds", "flags", "words"), [row[1:] for row in INVISIBLE], ids=[row[0] for row in INVISIBLE]
)
def test_flags_say_what_has_no_tensors(
    tmp_path: Path,
    publish: Callable[..., int],
    drawn: Draw,
    capsys: pytest.CaptureFixture[str],
    kinds: dict[str, Any],
    flags: list[str],
    words: str,
) -> None:
    network = trained(Example(**{"size": 16, **kinds}))
    torch.save(network.state_dict(), tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth", *flags) == 0
    assert words in capsys.readouterr().out
    wanted = expected(network, 4)
    if "last" in kinds:  # from 0 to 1 instead of from -1 to 1
        wanted = np.clip((wanted.astype(int) - 127.5) * 2, 0, 255).astype(np.uint8)
        assert np.abs(drawn(4).astype(int) - wanted).max() <= 2
    else:
        assert_same(drawn(4), wanted)
    options = card.read(tmp_path / "models/mine/1").training.options
    assert str(options[flags[0].strip("-").replace("-", "_")]) == flags[1]


def test_what_is_assumed_is_said(
    tmp_path: Path, publish: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(Example(32).state_dict(), tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 0
    assert "32×32, ReLU, tanh, eps 1e-05" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["--image-size", 64], 1, "--image-size 64: this generator draws images of one of the"),
        (["--norm-eps", 0], 2, "--norm-eps 0: Input should be greater than 0"),
        (["--activation", "gelu"], 2, "--activation gelu: Input should be 'relu', 'leaky' or"),
    ],
)
def test_invalid_flags_are_named(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    flags: list[object],
    status: int,
    words: str,
) -> None:
    torch.save(Example(16).state_dict(), tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth", *flags) == status
    assert words in capsys.readouterr().err


def weights(value: float) -> Change:
    return lambda state: state["main.3.weight"].fill_(value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (weights(float("nan")), "main.3.weight: contains NaN or infinite numbers"),
        (weights(float("inf")), "main.3.weight: contains NaN or infinite numbers"),
        (weights(3e38), "draws NaN: some of its weights are too large"),
        (lambda state: state["main.6.weight"].zero_(), "draws the same image for every latent"),
    ],
)
def test_a_network_that_draws_nothing_is_refused(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    change: Change,
    words: str,
) -> None:
    state = Example(16).state_dict()
    change(state)
    torch.save(state, tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "models/mine").exists()


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.ones(8, 4, 4, 4, dtype=torch.int8), "has the type int8"),
        (torch.ones(8, 4, 4, 4, dtype=torch.complex64), "has the type complex64"),
        (torch.ones(8, 4, 4, 4).to_sparse(), "is quantised, sparse or without values"),
        (torch.ones(8, 4, 4, 4, device="meta"), "is quantised, sparse or without values"),
    ],
)
def test_tensors_of_odd_kinds_are_named(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tensor: torch.Tensor,
    words: str,
) -> None:
    torch.save({**Example(16).state_dict(), "main.3.weight": tensor}, tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 1
    assert f"main.3.weight: {words}" in capsys.readouterr().err
