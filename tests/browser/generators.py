"""Small ONNX generators for browser tests: with editable attributes, and with slow inference."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from app.artifact import card
from app.artifact.card import Card, DataSet, Direction, Directions, Image, Latent, Training, Variant

OPSET, COARSE, SIDE = 17, 4, 32
WIDTH = 3 * COARSE**2
CONSTANTS = {
    "coarse": np.array([-1, 3, COARSE, COARSE]),
    "larger": np.array([1, 1, SIDE / COARSE, SIDE / COARSE], np.float32),
    "contrast": np.float32(60),
    "grey": np.float32(128),
    "black": np.float32(0),
    "white": np.float32(255),
    "square": np.array([1500, 1500]),
    "nothing": np.float32(0),
}


def publish(models: Path, name: str, *, products: int = 0) -> None:
    """Publish a generator of smooth colours. Each of the `products` takes time."""
    folder = models / name / "1"
    folder.mkdir(parents=True)
    content = _graph(name, products)
    (folder / "generator.onnx").write_bytes(content)
    card.write(_card(name, content), folder)


def _graph(name: str, products: int) -> bytes:
    """The ONNX graph: latents are 4×4 colours, enlarged by linear interpolation."""
    node = helper.make_node
    latents = "delayed" if products else "latents"
    nodes = [
        *(_delay(products) if products else []),
        node("Reshape", [latents, "coarse"], ["planes"]),
        node("Resize", ["planes", "", "larger"], ["stretched"], mode="linear"),
        node("Transpose", ["stretched"], ["image"], perm=[0, 2, 3, 1]),
        node("Mul", ["image", "contrast"], ["scaled"]),
        node("Add", ["scaled", "grey"], ["lifted"]),
        node("Clip", ["lifted", "black", "white"], ["clipped"]),
        node("Cast", ["clipped"], ["pixels"], to=TensorProto.UINT8),
    ]
    made = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in CONSTANTS.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(model, card.metadata(name, 1))
    content: bytes = model.SerializeToString()
    return content


def _delay(products: int) -> list[NodeProto]:
    """Nodes that add zero to the latents, computed from slow matrix products of them."""
    node = helper.make_node
    last = f"product{products}"
    return [
        node("ReduceSum", ["latents"], ["sum"], keepdims=0),
        node("Expand", ["sum", "square"], ["product0"]),
        *(
            node("MatMul", [f"product{k}", "product0"], [f"product{k + 1}"])
            for k in range(products)
        ),
        node("ReduceMax", [last], ["most"], keepdims=0),
        node("Clip", ["most", "nothing", "nothing"], ["zero"]),
        node("Add", ["latents", "zero"], ["delayed"]),
    ]


def _card(name: str, content: bytes) -> Card:
    """The card, with two attributes: brighter colours, and more red than blue in the upper half."""
    bright = np.full((3, COARSE, COARSE), 0.4)
    warm = np.zeros((3, COARSE, COARSE))
    warm[0, :2], warm[2, :2] = 0.8, -0.8
    vectors = {"bright": bright, "warm_sky": warm}
    attributes = {
        attribute: Direction(vector=vector.ravel().tolist(), gained=0.75, kept=0.9)
        for attribute, vector in vectors.items()
    }
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
        directions=Directions(protocol="made up", attributes=attributes),
    )
