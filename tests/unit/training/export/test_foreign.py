"""``import`` and ``adopt``: generators that other programs trained.

The networks here are written after the published description of PyTorch's DCGAN example and
tutorial, trained for a few steps and saved as those save.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import nn

from app.artifact import card
from app.latent import sampling
from app.main import create_app
from app.settings import Settings
from training.__main__ import main
from training.gan.pixels import to_pixels

WIDTH = 10
Change = Callable[[dict[str, torch.Tensor]], object]


class Example(nn.Module):
    """The example's generator: ``main`` from (n, z, 1, 1) to images, doubling from 4×4."""

    def __init__(self, size: int = 32, channels: int = 3, norm: bool = True) -> None:
        super().__init__()
        widths = [WIDTH] + [2 * size // 2**k for k in range(2, size.bit_length() - 1)]
        layers: list[nn.Module] = []
        for k, (before, after) in enumerate(zip(widths, [*widths[1:], channels], strict=True)):
            stride, padding = (2, 1) if k else (1, 0)
            last = k + 1 == len(widths)
            layers.append(nn.ConvTranspose2d(before, after, 4, stride, padding, bias=not norm))
            if norm and not last:
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.Tanh() if last else nn.ReLU())
        self.main = nn.Sequential(*layers)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.main(z)  # type: ignore[no-any-return]


def trained(network: Example) -> Example:
    """Trained for a few steps, so that every tensor differs from its initial value."""
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(3):
        optimiser.zero_grad()
        (network(torch.randn(8, WIDTH, 1, 1)) - 0.3).square().mean().backward()
        optimiser.step()
    return network.eval()


def expected(network: Example, count: int) -> NDArray[np.uint8]:
    z = torch.from_numpy(sampling.from_seeds(range(count), WIDTH))
    return to_pixels(network, z[:, :, None, None])


@pytest.fixture(autouse=True)
def fewer_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks the parity on fewer images, which takes less time."""
    monkeypatch.setattr("training.export.publish.PARITY_SEEDS", 64)


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., int]:
    """Run a command on a file, for the models folder ``tmp_path/models``."""

    def run(command: str, path: Path, *flags: str) -> int:
        models = str(tmp_path / "models")
        return main([command, str(path), "--name", "mine", "--models", models, *flags])

    return run


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
    served = drawn_by_server(tmp_path / "models", size, channels)
    difference = np.abs(served.astype(int) - expected(network, 4))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001


def test_imported_and_adopted_versions_pass_the_trial_of_the_server(
    tmp_path: Path, publish: Callable[..., int]
) -> None:
    torch.save(Example().state_dict(), tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 0
    assert publish("adopt", exported(Example(), tmp_path / "generator.onnx")) == 0
    app = create_app(Settings(models=tmp_path / "models", provider="cpu", load_timeout=60))
    with TestClient(app):
        assert [str(version.key) for version in app.state.services.registry] == ["mine/1", "mine/2"]


def drawn_by_server(models: Path, size: int, channels: int) -> NDArray[np.uint8]:
    """Seeds 0 to 3 of the only model, as the server's own engine draws them."""
    app = create_app(Settings(models=models, load_timeout=0, load_memory=0))
    with TestClient(app) as client:
        assert client.get("/grid?rows=2&cols=2&seed=0").is_success
        (served,) = app.state.services.registry
        pixels = served.engine({"latents": served.latents([0, 1, 2, 3])})
    assert pixels.shape == (4, size, size, channels)
    return np.asarray(pixels)


def test_versions_count_up(tmp_path: Path, publish: Callable[..., int]) -> None:
    torch.save(Example().state_dict(), tmp_path / "netG.pth")
    for version in (1, 2):
        assert publish("import", tmp_path / "netG.pth") == 0
        assert (tmp_path / f"models/mine/{version}/card.json").exists()
    assert publish("import", tmp_path / "netG.pth", "--version", "9") == 0
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
    (
        replace("main.1.running_var", 3),
        "main.1.running_var: has the shape (3,), not (8,)",
    ),
    (
        replace("main.6.weight", 4, 2, 4, 4),
        "main.6.weight: has 2 output channels, not 1 or 3",
    ),
    (lambda state: state.pop("main.1.bias"), "main.1.bias: is missing"),
    (lambda state: state.pop("main.0.weight"), "main.0.weight: is missing"),
    (replace("main.0.mask", 3), "main.0.mask: unknown tensor of ConvTranspose2d"),
    (replace("main.0.bias", 3), "main.0: "),
    (lambda state: state.update(epoch=torch.zeros(1)), "epoch is not a tensor of a layer"),
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


class Opened:
    """A pickle that runs code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("opened"),)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "contains a dict, not a state dict"),
        ([1], "contains a list, not a state dict"),
        ({"netG": {"main.0.weight": torch.zeros(1)}}, "netG is not a tensor of a layer"),
        ({"main.0.weight": Opened()}, "not a state dict"),
    ],
)
def test_other_files_are_refused_without_running_code(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    content: object,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("command", ["import", "adopt"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_missing_or_damaged_file_is_named(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    command: str,
    content: bytes | None,
) -> None:
    path = tmp_path / "theirs"
    if content is not None:
        path.write_bytes(content)
    assert publish(command, path) == 1
    assert str(path) in capsys.readouterr().err


def exported(network: Example, path: Path, **options: Any) -> Path:
    """The network as PyTorch's exporter writes it. It warns that another one is newer."""
    options.setdefault("opset_version", 17)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        z = torch.randn(options.pop("batch", 1), WIDTH, 1, 1)
        torch.onnx.export(network, (z,), str(path), dynamo=False, **options)
    return path


@pytest.mark.parametrize(
    "options",
    [
        {"input_names": ["z"], "dynamic_axes": {"z": {0: "batch"}}},
        {},
        {"batch": 8},
        {"opset_version": 11},
        {"opset_version": 18},
    ],
    ids=["free batch", "batch of one", "batch of eight", "older opset", "newer opset"],
)
def test_pytorchs_own_export_is_adopted_and_draws_the_same(
    tmp_path: Path, publish: Callable[..., int], options: dict[str, Any]
) -> None:
    network = trained(Example())
    path = exported(network, tmp_path / "generator.onnx", **options)
    assert publish("adopt", path) == 0
    described = card.read(tmp_path / "models/mine/1")
    assert described.latent.width == WIDTH
    assert described.opset == max(17, options.get("opset_version", 17))
    served = drawn_by_server(tmp_path / "models", 32, 3)
    difference = np.abs(served.astype(int) - expected(network, 4))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001


def written(
    path: Path,
    *nodes: onnx.NodeProto,
    shape: tuple[Any, ...] = ("n", 12),
    kind: int = TensorProto.FLOAT,
    domains: tuple[str, ...] = ("",),
    rank: int = 4,
) -> Path:
    """A generator of twelve latents by hand: they become the image's pixels, 2×2×3 or 3×2×2."""
    tensors = [
        helper.make_tensor("nhwc", TensorProto.INT64, [4], [-1, 2, 2, 3]),
        helper.make_tensor("nchw", TensorProto.INT64, [4], [-1, 3, 2, 2]),
    ]
    graph = helper.make_graph(
        nodes,
        "theirs",
        [helper.make_tensor_value_info("z", kind, shape)],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None] * rank)],
        tensors,
    )
    opsets = [helper.make_opsetid(domain, 17 if not domain else 1) for domain in domains]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def node(operator: str, *names: str, **attributes: Any) -> onnx.NodeProto:
    *inputs, output = names
    return helper.make_node(operator, inputs, [output], **attributes)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize(
    ("span", "last", "scale"),
    [
        ("tanh", "Tanh", lambda x: (np.tanh(x) + 1) / 2),
        ("sigmoid", "Sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_range_and_layout_are_applied(
    tmp_path: Path,
    publish: Callable[..., int],
    layout: str,
    span: str,
    last: str,
    scale: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> None:
    path = written(
        tmp_path / "theirs.onnx", node("Reshape", "z", layout, "y"), node(last, "y", "x")
    )
    assert publish("adopt", path, "--range", span, "--layout", layout) == 0
    z = sampling.from_seeds(range(4), 12).astype(np.float64)
    values = np.rint(255 * scale(z))
    shaped = values.reshape(4, 2, 2, 3)
    if layout == "nchw":
        shaped = values.reshape(4, 3, 2, 2).transpose(0, 2, 3, 1)
    served = drawn_by_server(tmp_path / "models", 2, 3)
    assert np.abs(served - shaped).max() <= 1


def external(path: Path) -> Path:
    model = onnx.load(exported(Example(), path))
    onnx.save(model, path, save_as_external_data=True, size_threshold=0)
    return path


NHWC = node("Reshape", "z", "nhwc", "x")
REFUSED: list[tuple[str, Callable[[Path], Path], list[str], str]] = [
    ("range", lambda p: written(p, NHWC), ["--layout", "nhwc"], "--range tanh means from -1"),
    (
        "layout",
        lambda p: written(p, node("Reshape", "z", "nhwc", "y"), node("Tanh", "y", "x")),
        [],
        "has 2 channels as --layout nchw, not 1 or 3",
    ),
    ("rank", lambda p: written(p, node("Tanh", "z", "x"), rank=2), [], "not float32 images"),
    (
        "input shape",
        lambda p: written(p, NHWC, shape=("n", 3, 2, 2)),
        [],
        "its input z is FLOAT [0, 3, 2, 2], not FLOAT (n, z) or (n, z, 1, 1)",
    ),
    (
        "input type",
        lambda p: written(p, node("Cast", "z", "x", to=1), kind=TensorProto.DOUBLE, rank=2),
        [],
        "its input z is DOUBLE [0, 12]",
    ),
    (
        "operators",
        lambda p: written(p, node("Secret", "z", "x", domain="acme"), domains=("", "acme")),
        [],
        "has operators of acme; only standard ONNX operators",
    ),
    ("soundness", lambda p: written(p, node("Tanh", "nowhere", "x")), [], "not a valid ONNX model"),
    ("one file", external, [], "stores its weights in other files"),
]


@pytest.mark.parametrize(
    ("make", "flags", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_an_unsuitable_onnx_file_is_refused_with_the_reason(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    flags: list[str],
    words: str,
) -> None:
    assert publish("adopt", make(tmp_path / "theirs.onnx"), *flags) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_a_second_output_is_refused(
    tmp_path: Path, publish: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "theirs.onnx", NHWC)
    model = onnx.load(path)
    model.graph.output.append(model.graph.output[0])
    model.graph.output[1].name = "y"
    model.graph.node.append(node("Tanh", "x", "y"))
    onnx.save(model, path)
    assert publish("adopt", path) == 1
    assert "['z', 'x', 'y'], but must have one of each" in capsys.readouterr().err


def test_a_graph_with_a_fixed_batch_size_is_refused(
    tmp_path: Path, publish: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = helper.make_tensor("fixed", TensorProto.INT64, [4], [8, 2, 2, 3])
    path = written(tmp_path / "theirs.onnx", node("Reshape", "z", "fixed", "x"), shape=(8, 12))
    model = onnx.load(path)
    model.graph.initializer.append(fixed)
    onnx.save(model, path)
    assert publish("adopt", path, "--layout", "nhwc") == 1
    assert "cannot run the graph on {'z': (1, 12)}" in capsys.readouterr().err
