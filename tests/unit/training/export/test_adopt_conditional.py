"""``adopt --input classes=NAME``: generators that take the class of an image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.artifact import card
from app.latent import sampling
from app.latent.conditions import one_hot
from training.export.cpu_session import run_graph

TABLE = np.linspace(-1, 1, 36, dtype=np.float32).reshape(3, 12)
"""What each of three classes adds to the twelve numbers of a latent."""
KINDS: dict[str, tuple[int, tuple[object, ...]]] = {
    "numbers": (TensorProto.FLOAT, ("n", 3)),
    "index": (TensorProto.INT64, (1,)),
}


def conditional(path: Path, kind: str, looked_up: str = "Gather") -> Path:
    """A generator of images (2, 2, 3): the tanh of the latent plus a row of the table."""
    element, shape = KINDS[kind]
    rows = {
        ("numbers", "Gather"): [helper.make_node("MatMul", ["y", "table"], ["e"])],
        ("index", "Gather"): [helper.make_node("Gather", ["table", "y"], ["e"])],
        ("index", "OneHot"): [
            helper.make_node("OneHot", ["y", "three", "off_on"], ["o"]),
            helper.make_node("MatMul", ["o", "table"], ["e"]),
        ],
    }[kind, looked_up]
    nodes = [
        *rows,
        helper.make_node("Add", ["z", "e"], ["s"]),
        helper.make_node("Tanh", ["s"], ["t"]),
        helper.make_node("Reshape", ["t", "nhwc"], ["x"]),
    ]
    constants = {
        "table": TABLE,
        "nhwc": np.array([-1, 2, 2, 3]),
        "three": np.array(3),
        "off_on": np.array([0, 1], np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "theirs",
        [
            helper.make_tensor_value_info("y", element, shape),
            helper.make_tensor_value_info("z", TensorProto.FLOAT, ("n", 12)),
        ],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None] * 4)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_conditional_generator_draws_the_same_for_every_class(
    tmp_path: Path, publish: Callable[..., int], kind: str
) -> None:
    path = conditional(tmp_path / "theirs.onnx", kind)
    assert publish("adopt", path, "--layout", "nhwc", "--input", "classes=y") == 0
    folder = tmp_path / "models/mine/1"
    described = card.read(folder)
    assert [one.name for one in described.classes or ()] == ["0", "1", "2"]
    assert {one.share for one in described.classes or ()} == {1 / 3}
    latents, classes = sampling.from_seeds(range(6), 12), np.arange(6) % 3
    graph = card.load_graph(folder, described.variant("any"))
    drawn = run_graph(graph, np.hstack([latents, one_hot(classes, 3)]), 3)
    wanted = np.rint((np.tanh(latents + TABLE[classes]) + 1) * 127.5).reshape(6, 2, 2, 3)
    assert np.abs(drawn - wanted).max() <= 1


@pytest.mark.parametrize(
    ("kind", "looked_up", "flags", "words"),
    [
        ("index", "Gather", [], "if one is the class of an image, name it: --input classes=NAME"),
        ("index", "Gather", ["--input", "y"], "--input y: must be classes=NAME with one of the"),
        ("index", "Gather", ["--input", "classes=w"], "with one of the names y, z"),
        ("index", "Gather", ["--input", "classes=z"], "its input y is INT64 (1), not FLOAT"),
        ("index", "OneHot", ["--input", "classes=y"], "its input y accepts any index"),
    ],
)
def test_an_input_that_does_not_fit_is_named(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    kind: str,
    looked_up: str,
    flags: list[str],
    words: str,
) -> None:
    path = conditional(tmp_path / "theirs.onnx", kind, looked_up)
    assert publish("adopt", path, "--layout", "nhwc", *flags) == 1
    assert words in capsys.readouterr().err


def test_a_third_input_is_refused(
    tmp_path: Path, publish: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    path = conditional(tmp_path / "theirs.onnx", "numbers")
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, ("n", 3)))
    onnx.save(model, path)
    assert publish("adopt", path, "--layout", "nhwc", "--input", "classes=y") == 1
    words = "the inputs y, z, w and the outputs x, but must have two inputs, latents and classes, "
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("ignored", "words"),
    [(0, "the same image for every latent"), (1, "the same image for every class")],
)
def test_a_generator_that_ignores_an_input_is_refused(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    kind: str,
    ignored: int,
    words: str,
) -> None:
    path = conditional(tmp_path / "theirs.onnx", kind)
    model = onnx.load(path)
    (added,) = (node for node in model.graph.node if node.op_type == "Add")
    nothing = helper.make_node("Sub", [added.input[ignored]] * 2, ["nothing"])
    model.graph.node.insert([*model.graph.node].index(added), nothing)
    added.input[ignored] = "nothing"
    onnx.save(model, path)
    assert publish("adopt", path, "--layout", "nhwc", "--input", "classes=y") == 1
    assert words in capsys.readouterr().err


def test_onnxruntime_logs_no_errors_that_are_raised(
    tmp_path: Path, publish: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    path = conditional(tmp_path / "theirs.onnx", "index")
    assert publish("adopt", path, "--layout", "nhwc", "--input", "classes=y") == 0
    assert "onnxruntime" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("classes", "found"), [({"dim_value": 1}, "(n, 1)"), ({"dim_param": "k"}, "(n, k)")]
)
def test_a_single_class_and_an_unknown_number_are_refused(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    classes: dict[str, Any],
    found: str,
) -> None:
    path = conditional(tmp_path / "theirs.onnx", "numbers")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].CopyFrom(
        onnx.TensorShapeProto.Dimension(**classes)
    )
    onnx.save(model, path)
    assert publish("adopt", path, "--layout", "nhwc", "--input", "classes=y") == 1
    words = (
        f"its input y is FLOAT {found}, not FLOAT (n, k) with a known k from 2 to 1024, or INT64"
    )
    assert words in capsys.readouterr().err
