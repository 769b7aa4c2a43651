"""Encoders of the generators in ``tests.painting`` and ``tests.conditional``: they undo them."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from app.artifact import card
from app.artifact.card import ENCODER_FILE, Card, Encoder
from tests import conditional, painting

OPSET = 17


def graph(described: Card, *, rows: int = 1, divisor: str = "scale") -> bytes:
    """An encoder whose latents are (pixel - 128) / 16, after the pixels of the condition.

    The probability of a class or an attribute is its pixel divided by conditional.FULL, at most 1.
    The others make it fail: another number of ``rows`` for each image than 1, or a ``divisor`` that
    does not exist.
    """
    condition = len(described.sampler.names) if described.sampler else 0
    size = int(np.prod(described.image.shape))
    constants = {
        "flat": np.array([-1, size]),
        "many": np.array([rows, 1]),
        "start": np.array([condition]),
        "end": np.array([condition + described.latent.width]),
        "axis": np.array([1]),
        "zero": np.array([0]),
        "offset": np.float32(128),
        "scale": np.float32(16),
        "full": np.float32(conditional.FULL),
        "one": np.float32(1),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["numbers", "flat"], ["each"]),
        helper.make_node("Tile", ["each", "many"], ["row"]),
        helper.make_node("Slice", ["row", "start", "end", "axis"], ["pixels"]),
        helper.make_node("Sub", ["pixels", "offset"], ["shifted"]),
        helper.make_node("Div", ["shifted", divisor], ["latents"]),
    ]
    if condition:
        nodes += [
            helper.make_node("Slice", ["row", "zero", "start", "axis"], ["first"]),
            helper.make_node("Div", ["first", "full"], ["shares"]),
            helper.make_node("Min", ["shares", "one"], ["classes"]),
        ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in described.inputs.items()
    ]
    made = helper.make_graph(
        nodes,
        described.name,
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *described.image.shape])],
        outputs,
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def add(folder: Path, content: bytes | None = None) -> None:
    """Add the encoder, or ``content`` instead, to the version in ``folder``."""
    described = card.read(folder)
    content = graph(described) if content is None else content
    (folder / ENCODER_FILE).write_bytes(content)
    encoder = Encoder(file=ENCODER_FILE, sha256=card.digest(content), size=len(content))
    card.write(described.model_copy(update={"encoder": encoder}), folder)


def publish(models: Path) -> None:
    """Publish "grey", "colour", "shoes" and "people" with encoders, and "plain" without."""
    for name in ("grey", "colour", "plain"):
        painting.publish(name, models)
    for name in ("shoes", "people"):
        conditional.publish(name, models)
    for name in ("grey", "colour", "shoes", "people"):
        add(models / name / "1")
