"""A generator that only reshapes its latents: what a request costs besides the engine's work."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from app.artifact import card
from app.artifact.card import Card, DataSet, Image, Latent, Training, Variant

OPSET, WIDTH, SIDE = 17, 64, 28


def publish(folder: Path) -> Path:
    """Write the version ``folder``, ``<name>/<version>``; returns it. Images are 28×28, grey."""
    name, version = folder.parent.name, int(folder.name)
    folder.mkdir(parents=True)
    content = graph(name, version).SerializeToString()
    (folder / "generator.onnx").write_bytes(content)
    described = Card(
        name=name,
        version=version,
        created=datetime.now(UTC),
        latent=Latent(width=WIDTH, prior="normal"),
        image=Image(height=SIDE, width=SIDE, channels=1),
        opset=OPSET,
        variants=[Variant(file="generator.onnx", sha256=card.digest(content))],
        dataset=DataSet(name="none", licence="none", images=None),
        training=Training(options={}, epochs=0, steps=0, seconds=0, device="none"),
        metrics={},
        libraries={},
    )
    card.write(described, folder)
    return folder


def graph(name: str, version: int) -> ModelProto:
    """From latents ``(n, 64)`` to pixels ``(n, 28, 28, 1)``: each number fills a row and a half."""
    repeated = np.array([1, SIDE * SIDE // WIDTH + 1])
    constants = {
        "scale": np.float32([32]),
        "offset": np.float32([128]),
        "repeats": repeated,
        "start": np.array([0]),
        "end": np.array([SIDE * SIDE]),
        "axis": np.array([1]),
        "shape": np.array([-1, SIDE, SIDE, 1]),
    }
    nodes = [
        helper.make_node("Mul", ["latents", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["shifted"]),
        helper.make_node("Cast", ["shifted"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Tile", ["bytes", "repeats"], ["tiled"]),
        helper.make_node("Slice", ["tiled", "start", "end", "axis"], ["cut"]),
        helper.make_node("Reshape", ["cut", "shape"], ["pixels"]),
    ]
    made = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIDE, SIDE, 1])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(model, card.metadata(name, version))
    return model
