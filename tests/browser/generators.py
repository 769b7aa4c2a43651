"""Small ONNX generators for browser tests: editable, and conditional."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from app.artifact import card
from app.artifact.card import (
    Attributes,
    Card,
    DataSet,
    Direction,
    Directions,
    Image,
    ImageAttribute,
    ImageClass,
    Latent,
    Training,
    Variant,
)

OPSET, COARSE, SIDE = 17, 4, 32
WIDTH = 3 * COARSE**2
CONSTANTS = {
    "coarse": np.array([-1, 3, COARSE, COARSE]),
    "larger": np.array([1, 1, SIDE / COARSE, SIDE / COARSE], np.float32),
    "contrast": np.float32(60),
    "grey": np.float32(128),
    "black": np.float32(0),
    "white": np.float32(255),
}
CLASSES = {
    "t-shirt": 0.1,
    "trouser": 0.2,
    "pullover": 0.1,
    "dress": 0.05,
    "coat": 0.15,
    "sandal": 0.1,
    "shirt": 0.05,
    "sneaker": 0.1,
    "bag": 0.1,
    "ankle-boot": 0.05,
}
"""Names and shares of the classes of "clothes"."""
ATTRIBUTES = {"glasses": [], "blond_hair": ["brown_hair"], "brown_hair": ["blond_hair"]}
"""The attributes of "people", and what each excludes."""
CONDITIONS = {"clothes": len(CLASSES), "people": len(ATTRIBUTES)}
"""The width of the second input of conditional generators."""


def publish(models: Path, name: str) -> None:
    """Publish a generator of smooth colours.

    "clothes" has a colour pattern for each of its classes, "people" for each of its attributes.
    """
    folder = models / name / "1"
    folder.mkdir(parents=True)
    content = _graph(name)
    (folder / "generator.onnx").write_bytes(content)
    card.write(_card(name, content), folder)


def _graph(name: str) -> bytes:
    """The ONNX graph: latents are 4×4 colours, enlarged by linear interpolation."""
    node = helper.make_node
    width = CONDITIONS.get(name, 0)
    nodes = [
        *(_painted() if width else []),
        node("Reshape", ["painted" if width else "latents", "coarse"], ["planes"]),
        node("Resize", ["planes", "", "larger"], ["stretched"], mode="linear"),
        node("Transpose", ["stretched"], ["image"], perm=[0, 2, 3, 1]),
        node("Mul", ["image", "contrast"], ["scaled"]),
        node("Add", ["scaled", "grey"], ["lifted"]),
        node("Clip", ["lifted", "black", "white"], ["clipped"]),
        node("Cast", ["clipped"], ["pixels"], to=TensorProto.UINT8),
    ]
    patterns = np.random.default_rng(7).normal(0, 1.5, (width, WIDTH)).astype(np.float32)
    constants = {**CONSTANTS, "patterns": patterns, "few": np.float32(0.4)}
    inputs = {"latents": WIDTH, "classes": width}
    made = helper.make_graph(
        nodes,
        name,
        [
            helper.make_tensor_value_info(key, TensorProto.FLOAT, ["n", size])
            for key, size in inputs.items()
            if size
        ],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(model, card.metadata(name, 1))
    content: bytes = model.SerializeToString()
    return content


def _painted() -> list[NodeProto]:
    """Nodes that add the patterns of classes or attributes to the latents."""
    return [
        helper.make_node("MatMul", ["classes", "patterns"], ["pattern"]),
        helper.make_node("Mul", ["latents", "few"], ["noise"]),
        helper.make_node("Add", ["noise", "pattern"], ["painted"]),
    ]


def _card(name: str, content: bytes) -> Card:
    """The card, with two attributes: brighter colours, and more red than blue in the upper half.

    Its third direction, ``sefa_1``, has no attribute: it makes the picture greener.
    """
    bright = np.full((3, COARSE, COARSE), 0.4)
    warm = np.zeros((3, COARSE, COARSE))
    warm[0, :2], warm[2, :2] = 0.8, -0.8
    vectors = {"bright": bright, "warm_sky": warm}
    directions = {
        attribute: Direction(vector=vector.ravel().tolist(), gained=0.75, kept=0.9)
        for attribute, vector in vectors.items()
    }
    green = np.zeros((3, COARSE, COARSE))
    green[1] = 0.4
    directions["sefa_1"] = Direction(vector=green.ravel().tolist())
    classes = [ImageClass(name=one, share=share) for one, share in CLASSES.items()]
    attributes = Attributes(
        attributes=[
            ImageAttribute(name=one, share=0.5, excludes=others)
            for one, others in ATTRIBUTES.items()
        ],
        patterns=["1", "2", "4", "5"],
    )
    return Card(
        name=name,
        version=1,
        created=datetime.now(UTC),
        latent=Latent(width=WIDTH, prior="normal"),
        image=Image(height=SIDE, width=SIDE, channels=3),
        opset=OPSET,
        variants=[Variant(file="generator.onnx", sha256=card.digest(content))],
        dataset=DataSet(name="colours", licence="none", images=None),
        training=Training(options={}, epochs=0, steps=0, seconds=0, device="none"),
        metrics={},
        libraries={},
        classes=classes if name == "clothes" else None,
        attributes=attributes if name == "people" else None,
        directions=(
            None if name == "clothes" else Directions(protocol="made up", attributes=directions)
        ),
    )
