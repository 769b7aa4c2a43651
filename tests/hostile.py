"""Graphs that are valid ONNX files but would hang or exhaust the server."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from app.artifact import card
from tests.versions import WIDTH


def _model(
    name: str, version: int, nodes: list[object], constants: dict[str, np.ndarray]
) -> ModelProto:
    """A generator of images (2, 2, 1) whose ``nodes`` turn ``latents`` into ``out``."""
    tail = [
        helper.make_node("Reshape", ["out", "shape"], ["image"]),
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.UINT8),
    ]
    constants = {"shape": np.array([-1, 2, 2, 1]), **constants}
    made = helper.make_graph(
        [*nodes, *tail],
        name,
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 2, 2, 1])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, card.metadata(name, version))
    return model


def endless(name: str, version: int, images: int = 1) -> bytes:
    """A loop that never ends for batches of ``images`` or more."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still_going"]),
            helper.make_node("Identity", ["value"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still_going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("Shape", ["latents"], ["size"]),
        helper.make_node("Gather", ["size", "zero"], ["n"]),
        helper.make_node("GreaterOrEqual", ["n", "images"], ["large"]),
        helper.make_node("Squeeze", ["large"], ["begin"]),
        helper.make_node("Loop", ["most", "begin", "latents"], ["out"], body=body),
    ]
    constants = {"zero": np.array([0]), "images": np.array([images]), "most": np.array(2**62)}
    return bytes(_model(name, version, nodes, constants).SerializeToString())


def hungry(name: str, version: int, gibibytes: int) -> bytes:
    """A graph of 1 kB that allocates so much memory."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("ConstantOfShape", ["numbers"], ["filled"], value=one),
        helper.make_node("ReduceMean", ["filled"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["latents", "mean"], ["out"]),
    ]
    constants = {"numbers": np.array([gibibytes * 2**28])}
    return bytes(_model(name, version, nodes, constants).SerializeToString())


def failing(name: str, version: int, images: int) -> bytes:
    """A graph that cannot compute batches of ``images`` or more."""
    nodes = [
        helper.make_node("Shape", ["latents"], ["size"]),
        helper.make_node("Gather", ["size", "zero"], ["n"]),
        helper.make_node("Gather", ["numbers", "n"], ["number"]),
        helper.make_node("Add", ["latents", "number"], ["out"]),
    ]
    constants = {"zero": np.array([0]), "numbers": np.zeros(images, np.float32)}
    return bytes(_model(name, version, nodes, constants).SerializeToString())
