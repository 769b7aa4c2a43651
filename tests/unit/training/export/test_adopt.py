"""``adopt``: ONNX generators that other programs wrote.

The networks here are written after the published description of PyTorch's DCGAN example.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from app.artifact import card
from app.latent import sampling
from app.main import create_app
from app.settings import Settings
from tests.dcgan_example import WIDTH, Example, expected, exported, trained

Draw = Callable[[int], NDArray[np.uint8]]


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
    tmp_path: Path, publish: Callable[..., int], drawn: Draw, options: dict[str, Any]
) -> None:
    network = trained(Example())
    path = exported(network, tmp_path / "generator.onnx", **options)
    assert publish("adopt", path) == 0
    described = card.read(tmp_path / "models/mine/1")
    assert described.latent.width == WIDTH
    assert described.opset == max(17, options.get("opset_version", 17))
    served = drawn(4)
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
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
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
    drawn: Draw,
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
    served = drawn(4)
    assert np.abs(served - shaped).max() <= 1


NHWC = node("Reshape", "z", "nhwc", "x")
TANH = (node("Reshape", "z", "nhwc", "y"), node("Tanh", "y", "x"))
ONE = np.array(1)
SIGMOID = (node("Reshape", "z", "nhwc", "y"), node("Sigmoid", "y", "x"))


def with_tensors(path: Path, **arrays: object) -> Path:
    """Add constants to the graph in ``path``."""
    model = onnx.load(path)
    for name, values in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(values), name))
    onnx.save(model, path)
    return path


def older(path: Path, opset: int) -> Path:
    model = onnx.load(path)
    model.opset_import[0].version = opset
    onnx.save(model, path)
    return path


def branching(path: Path) -> Path:
    """Random numbers in a branch of If."""
    branch = helper.make_graph(
        [helper.make_node("RandomUniform", [], ["r"], shape=[1])],
        "branch",
        [],
        [helper.make_tensor_value_info("r", TensorProto.FLOAT, [1])],
    )
    nodes = (
        node("If", "yes", "u", then_branch=branch, else_branch=branch),
        node("Add", "z", "u", "w"),
        node("Reshape", "w", "nhwc", "y"),
        node("Tanh", "y", "x"),
    )
    return with_tensors(written(path, *nodes), yes=True)


def scaled(path: Path, factor: float, last: str = "Tanh") -> Path:
    nodes = (
        node(last, "z", "w"),
        node("Mul", "w", "factor", "y"),
        node("Reshape", "y", "nhwc", "x"),
    )
    return with_tensors(written(path, *nodes), factor=np.float32(factor))


def sparse(path: Path) -> Path:
    model = onnx.load(written(path, *TANH))
    values = numpy_helper.from_array(np.ones(1, np.float32), "sparse")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [12]))
    onnx.save(model, path)
    return path


Case = tuple[str, Callable[[Path], Path], list[str], str]
REFUSED: list[Case] = [
    ("range", lambda p: written(p, NHWC), ["--layout", "nhwc"], "--range tanh means from -1"),
    (
        "layout",
        lambda p: written(p, *TANH),
        [],
        "its output (1, 2, 2, 3) has 2 channels as --layout nchw, not 1 or 3; use --layout nhwc",
    ),
    (
        "other layout",
        lambda p: written(p, node("Reshape", "z", "nchw", "y"), node("Tanh", "y", "x")),
        ["--layout", "nhwc"],
        "has 2 channels as --layout nhwc, not 1 or 3; use --layout nchw",
    ),
    (
        "rank",
        lambda p: written(p, node("Tanh", "z", "x"), rank=2),
        [],
        "its output x is float32 (1, 12) for one latent, not float32 (n, c, h, w)",
    ),
    (
        "no axes",
        lambda p: written(p, node("ReduceMean", "z", "x", keepdims=0), rank=0),
        [],
        "its output x is float32 () for one latent",
    ),
    (
        "input shape",
        lambda p: written(p, NHWC, shape=("n", 3, 2, 2)),
        [],
        "its input z has the axes (n, 3, 2, 2), not (n, z) or (n, z, 1, 1)",
    ),
    (
        "unknown width",
        lambda p: written(p, NHWC, shape=("n", "z")),
        [],
        "its input z has the axes (n, z), not (n, z) or (n, z, 1, 1) with a known z",
    ),
    ("no input shape", lambda p: written(p, NHWC, shape=()), [], "its input z has no axes"),
    ("wide", lambda p: written(p, NHWC, shape=("n", 5000)), [], "its latents have 5000 numbers"),
    (
        "input type",
        lambda p: written(p, node("Cast", "z", "x", to=1), kind=TensorProto.DOUBLE, rank=2),
        [],
        "its input z is DOUBLE (n, 12), not FLOAT; export the network in float32",
    ),
    (
        "operators",
        lambda p: written(p, node("Secret", "z", "x", domain="acme"), domains=("", "acme")),
        [],
        "has operators of acme; only standard ONNX operators",
    ),
    ("soundness", lambda p: written(p, node("Tanh", "nowhere", "x")), [], "not a valid ONNX model"),
    ("no operators", written, [], "not an ONNX model: it has no operators"),
    ("future", lambda p: older(written(p, *TANH), 99), [], "uses opset 99 and IR version 8, but"),
    (
        "batch of eight",
        lambda p: with_tensors(
            written(p, node("Reshape", "z", "fixed", "x"), shape=(8, 12)), fixed=[8, 2, 2, 3]
        ),
        ["--layout", "nhwc"],
        "it cannot draw a single image, perhaps because its batch size is fixed at another",
    ),
    (
        "batch of one",
        lambda p: with_tensors(
            written(p, node("Reshape", "z", "one", "y"), node("Tanh", "y", "x")), one=[1, 2, 2, 3]
        ),
        ["--layout", "nhwc"],
        "draws one image at a time, because its batch size is fixed at one; export it with a free",
    ),
    (
        "first of a batch",
        lambda p: with_tensors(
            written(p, node("Gather", "z", "row", "w", axis=0), node("Reshape", "w", "nhwc", "y"),
                    node("Tanh", "y", "x")), row=[0]
        ),
        ["--layout", "nhwc"],
        "draws (1, 2, 2, 3) for two latents, because its batch size is fixed at one",
    ),
    (
        "mean of a batch",
        lambda p: written(p, node("ReduceMean", "z", "m", axes=[0]), node("Sub", "z", "m", "d"),
                          node("Add", "d", "z", "w"), node("Reshape", "w", "nhwc", "y"),
                          node("Tanh", "y", "x")),
        ["--layout", "nhwc"],
        "the image of a latent depends on the others of its batch; export the network in eval mode",
    ),
    (
        "large",
        lambda p: with_tensors(
            written(p, TANH[0], node("Tanh", "y", "t"), node("Tile", "t", "times", "x")),
            times=[1, 600, 1, 1],
        ),
        ["--layout", "nhwc"],
        "draws 1200×2, but images have from 1 to 1024 pixels",
    ),
    (
        "several sizes",
        lambda p: with_tensors(
            written(
                p,
                node("Greater", "z", "zero", "g"),
                node("Reshape", "g", "all", "f"),
                node("Gather", "f", "two", "m"),
                node("Or", "m", "least", "rows"),
                TANH[0],
                node("Tanh", "y", "t"),
                node("Compress", "t", "rows", "x", axis=1),
            ),
            zero=np.float32(0),
            all=[-1],
            two=[0, 1],
            least=[True, False],
        ),
        ["--layout", "nhwc"],
        "draws images of several sizes",
    ),
    ("sparse weights", sparse, [], "has sparse weights, which are not supported"),
    (
        "sigmoid as tanh",
        lambda p: written(p, *SIGMOID),
        ["--layout", "nhwc"],
        "but --range tanh means from -1 to 1; use --range sigmoid",
    ),
    (
        "tanh as byte",
        lambda p: written(p, *TANH),
        ["--layout", "nhwc", "--range", "byte"],
        "but --range byte means from 0 to 255; use --range tanh",
    ),
    (
        "byte as tanh",
        lambda p: scaled(p, 255, "Sigmoid"),
        ["--layout", "nhwc"],
        "but --range tanh means from -1 to 1; use --range byte",
    ),
    (
        "no activation",
        lambda p: scaled(p, 2),
        ["--layout", "nhwc"],
        "does it lack its last activation?",
    ),
    ("NaN", lambda p: scaled(p, np.nan), ["--layout", "nhwc"], "draws NaN or infinite values"),
    ("constant", lambda p: scaled(p, 0), ["--layout", "nhwc"], "draws the same image for every"),
    (
        "noise",
        lambda p: written(p, node("RandomNormalLike", "z", "w"), *TANH),
        [],
        "the operator RandomNormalLike draws random numbers at every run; export the network in",
    ),
    ("noise in a branch", branching, [], "the operator RandomUniform draws random numbers"),
    (
        "dropout",
        lambda p: with_tensors(
            written(p, node("Dropout", "z", "half", "on", "w"), *TANH),
            half=np.float32(0.5),
            on=True,
        ),
        [],
        "the operator Dropout is in training mode, in which an image depends on others or on",
    ),
    (
        "dropout with a constant's mode",
        lambda p: with_tensors(
            written(
                p,
                helper.make_node("Constant", [], ["on"], value=numpy_helper.from_array(ONE)),
                node("Dropout", "z", "half", "on", "w"),
                *TANH,
            ),
            half=np.float32(0.5),
        ),
        [],
        "the operator Dropout is in training mode",
    ),
    (
        "dropout of opset 6",
        lambda p: older(written(p, node("Dropout", "z", "w"), *TANH), 6),
        [],
        "the operator Dropout is in training mode",
    ),
    (
        "batch norm",
        lambda p: written(
            p,
            helper.make_node(
                "BatchNormalization", list("zabcd"), ["w", "m", "v"], training_mode=1
            ),
            *TANH,
        ),
        [],
        "the operator BatchNormalization is in training mode",
    ),
    (
        "batch norm of opset 9",
        lambda p: older(
            written(
                p, helper.make_node("BatchNormalization", list("zabcd"), ["w", "m", "v"]), *TANH
            ),
            9,
        ),
        [],
        "the operator BatchNormalization is in training mode",
    ),
    (
        "dynamic quantisation",
        lambda p: written(
            p, helper.make_node("DynamicQuantizeLinear", ["z"], ["q", "s", "o"]), *TANH
        ),
        [],
        "the operator DynamicQuantizeLinear makes an image depend on the others of its batch",
    ),
]  # fmt: skip


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
    words = "it has the inputs z and the outputs x, y, but must have one of each"
    assert words in capsys.readouterr().err


def test_dropout_out_of_training_is_no_obstacle(
    tmp_path: Path, publish: Callable[..., int], drawn: Draw
) -> None:
    nodes = (node("Dropout", "z", "half", "off", "w"), node("Reshape", "w", "nhwc", "y"), TANH[1])
    path = with_tensors(written(tmp_path / "theirs.onnx", *nodes), half=np.float32(0.5), off=False)
    assert publish("adopt", path, "--layout", "nhwc") == 0
    wanted = np.rint((np.tanh(sampling.from_seeds(range(4), 12)) + 1) * 127.5).reshape(4, 2, 2, 3)
    assert np.abs(drawn(4) - wanted).max() <= 1


def external(path: Path, location: str = "generator.data") -> tuple[Example, Path]:
    """A generator whose weights lie in a file beside its graph."""
    network = trained(Example(16))
    model = onnx.load(exported(network, path))
    onnx.save(model, path, save_as_external_data=True, location="generator.data", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    onnx.save(model, path)
    return network, path


def test_weights_beside_the_graph_are_read(
    tmp_path: Path, publish: Callable[..., int], drawn: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").mkdir()
    network, path = external(tmp_path / "theirs/generator.onnx")
    monkeypatch.chdir(tmp_path)
    assert publish("adopt", path) == 0
    assert np.abs(drawn(4).astype(int) - expected(network, 4)).max() <= 1
    files = {file.name for file in (tmp_path / "models/mine/1").iterdir()}
    assert files == {"card.json", "generator.onnx", "samples.png"}


def missing(data: Path) -> None:
    data.unlink()


def linked_out(data: Path) -> None:
    data.rename(data.parent.parent / "elsewhere")
    data.symlink_to(data.parent.parent / "elsewhere")


def folder(data: Path) -> None:
    data.unlink()
    data.mkdir()


def large(data: Path) -> None:
    with data.open("r+b") as file:
        file.truncate(2**29 + 1)


def cut(data: Path) -> None:
    data.write_bytes(data.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("location", "change", "words"),
    [
        ("generator.data", missing, "has its weights in generator.data, which is not beside it"),
        ("generator.data", linked_out, "has its weights in generator.data, a link that leads out"),
        ("generator.data", folder, "has its weights in generator.data, which is not a file"),
        ("generator.data", cut, "its weights cannot be read"),
        ("generator.data", large, "has weights of more than 536870912 bytes"),
        ("/etc/hostname", None, "has weights in '/etc/hostname'; only files beside it are read"),
        ("../secret", None, "has weights in '../secret'; only files beside it are read"),
        ("x/../../secret", None, "has weights in 'x/../../secret'; only files beside it are read"),
        ("", None, "has weights in ''; only files beside it are read"),
    ],
)
def test_weights_elsewhere_are_not_read(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    location: str,
    change: Callable[[Path], object] | None,
    words: str,
) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "secret").write_bytes(b"secret" * 100000)
    _, path = external(tmp_path / "theirs/generator.onnx", location)
    if change:
        change(path.parent / "generator.data")
    assert publish("adopt", path) == 1
    assert f"{path}: {words}" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_weights_of_a_constant_elsewhere_are_not_read(
    tmp_path: Path, publish: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    tensor = numpy_helper.from_array(np.float32(1), "one")
    external_data_helper.set_external_data(tensor, "ab/secret")
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    path = written(tmp_path / "theirs.onnx", constant, *TANH)
    path.write_bytes(path.read_bytes().replace(b"ab/secret", b"../secret"))
    assert publish("adopt", path) == 1
    assert "has weights in '../secret'; only files beside it are read" in capsys.readouterr().err
