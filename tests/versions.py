"""Model versions whose every pixel is the version number: an image shows which version drew it."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from app.artifact import card
from app.artifact.card import Card, DataSet, Image, Latent, Training, Variant

WIDTH = 4


def graph(name: str, version: int) -> ModelProto:
    """A generator from latents ``(n, 4)`` to pixels ``(n, 2, 2, 1)`` that all equal ``version``."""
    constants = {
        "zero": np.zeros(1, np.float32),
        "number": np.float32([version]),
        "shape": np.array([-1, 2, 2, 1]),
    }
    nodes = [
        helper.make_node("Mul", ["latents", "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "number"], ["numbers"]),
        helper.make_node("Reshape", ["numbers", "shape"], ["image"]),
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.UINT8),
    ]
    made = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 2, 2, 1])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, card.metadata(name, version))
    return model


def publish(models: Path, name: str, version: int, content: bytes | None = None) -> Path:
    """Publish that generator, or ``content`` instead, in one atomic step; returns the folder."""
    content = graph(name, version).SerializeToString() if content is None else content
    described = Card(
        name=name,
        version=version,
        created=datetime.now(UTC),
        latent=Latent(width=WIDTH, prior="normal"),
        image=Image(height=2, width=2, channels=1),
        opset=17,
        variants=[Variant(file="generator.onnx", sha256=card.digest(content))],
        dataset=DataSet(name="none", licence="none", images=None),
        training=Training(options={}, epochs=0, steps=0, seconds=0, device="none"),
        metrics={},
        libraries={},
    )
    folder = models / name / str(version)
    part = folder.with_name(f".part-{version}")
    part.mkdir(parents=True)
    (part / "generator.onnx").write_bytes(content)
    card.write(described, part)
    return part.rename(folder)
