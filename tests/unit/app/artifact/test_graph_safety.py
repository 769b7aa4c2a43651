"""Self-contained ONNX files are accepted, all others are rejected."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from app.artifact import graph_safety
from app.artifact.card import CardError
from tests.versions import graph

Change = Callable[[ModelProto], object]


def external(tensor: TensorProto) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def outside() -> TensorProto:
    tensor = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[4])
    external(tensor)
    return tensor


def unlocated(model: ModelProto) -> None:
    external(model.graph.initializer[0])
    model.graph.initializer[0].ClearField("data_location")


def inside_a_branch(model: ModelProto) -> None:
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["x"], value=outside())], "b", [], []
    )
    model.graph.node.append(helper.make_node("If", ["latents"], ["y"], then_branch=branch))


def inside_a_function(model: ModelProto) -> None:
    node = helper.make_node("Constant", [], ["x"], value=outside())
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "f", [], ["x"], [node], opsets))


def sparse(model: ModelProto) -> None:
    added = model.graph.sparse_initializer.add()
    added.values.CopyFrom(outside())


def custom(model: ModelProto) -> None:
    model.graph.node[0].domain = "my.company"


def deep(model: ModelProto) -> None:
    for _ in range(15):
        branch = onnx.GraphProto()
        branch.CopyFrom(model.graph)
        del model.graph.node[:]
        model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model: external(model.graph.initializer[0]), "'zero' is in another file"),
        (unlocated, "'zero' is in another file"),
        (inside_a_branch, "'weights' is in another file"),
        (inside_a_function, "'weights' is in another file"),
        (sparse, "'weights' is in another file"),
        (custom, "'Mul' is a custom operator, from domain 'my.company'"),
        (deep, "nested too deeply"),
    ],
)
def test_a_graph_that_depends_on_other_files_is_rejected(change: Change, reason: str) -> None:
    model = graph("cats", 1)
    graph_safety.check(model.SerializeToString())
    change(model)
    with pytest.raises(CardError, match=reason):
        graph_safety.check(model.SerializeToString())


@pytest.mark.parametrize(
    "content", [b"no graph", b"\x3a", b"\x3a\x05a", b"\xff" * 20, b"\x09\x00", b"\x0b"]
)
def test_a_file_that_is_not_onnx_is_rejected(content: bytes) -> None:
    with pytest.raises(CardError, match="not an ONNX file"):
        graph_safety.check(content)


def test_a_truncated_graph_is_rejected_or_self_contained() -> None:
    content = graph("cats", 1).SerializeToString()
    rejected = 0
    for end in range(len(content)):
        try:
            graph_safety.check(content[:end])
        except CardError:
            rejected += 1
    assert rejected > len(content) // 2


def test_the_shipped_models_are_self_contained(models: Path) -> None:
    found = list(models.glob("*/*/*.onnx"))
    assert found
    for path in found:
        graph_safety.check(path.read_bytes())
