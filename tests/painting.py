"""Generators whose pixels are their latents, so that tests can compute expected images by hand."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from app.artifact import card
from app.artifact.card import Card, DataSet, Direction, Directions, Image, Latent, Training, Variant
from app.latent.sampling import Prior

OPSET, WIDTH = 17, 12
SHAPES = {"grey": (3, 4, 1), "colour": (2, 2, 3), "plain": (3, 4, 1), "tall": (4, 1, 3)}
PRIORS: dict[str, Prior] = {
    "grey": "normal",
    "colour": "uniform",
    "plain": "normal",
    "tall": "normal",
}
NAMES = ["glasses", "beard", *(f"x_{k}" for k in range(15))]
VECTORS = dict(zip(NAMES, np.random.default_rng(0).normal(size=(17, WIDTH)).round(3), strict=True))
EFFECT = {"gained": 0.75, "kept": 0.9}


def graph(name: str) -> bytes:
    """A generator whose pixel k is 128 + 16 × number k of the latent, clipped to 0 … 255."""
    constants = {"scale": np.float32(16), "offset": np.float32(128), "least": np.float32(0)}
    constants |= {"most": np.float32(255), "shape": np.array([-1, *SHAPES[name]])}
    nodes = [
        helper.make_node("Mul", ["latents", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["shifted"]),
        helper.make_node("Clip", ["shifted", "least", "most"], ["clipped"]),
        helper.make_node("Reshape", ["clipped", "shape"], ["image"]),
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.UINT8),
    ]
    made = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", *SHAPES[name]])],
        [
            helper.make_tensor(
                key,
                helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype),
                np.shape(value),
                np.ravel(value),
            )
            for key, value in constants.items()
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(model, card.metadata(name, 1))
    content: bytes = model.SerializeToString()
    return content


def publish(name: str, models: Path) -> None:
    """Publish that generator as version 1.

    The card of "plain" has no directions. On the others, those called ``x_…`` have no attributes.
    """
    folder = models / name / "1"
    folder.mkdir(parents=True)
    content = graph(name)
    (folder / "generator.onnx").write_bytes(content)
    height, width, channels = SHAPES[name]
    attributes = {
        name: Direction(vector=vector.tolist(), **({} if name.startswith("x_") else EFFECT))
        for name, vector in VECTORS.items()
    }
    directions = Directions(protocol="random", attributes=attributes)
    made = Card(
        name=name,
        version=1,
        created=datetime.now(UTC),
        latent=Latent(width=WIDTH, prior=PRIORS[name]),
        image=Image.model_validate({"height": height, "width": width, "channels": channels}),
        opset=OPSET,
        variants=[Variant(file="generator.onnx", sha256=card.digest(content))],
        dataset=DataSet(name="none", licence="none", images=None),
        training=Training(options={}, epochs=0, steps=0, seconds=0, device="none"),
        metrics={},
        libraries={},
        directions=None if name == "plain" else directions,
    )
    card.write(made, folder)


def tiles(sheet: NDArray[np.uint8], model: str) -> NDArray[np.uint8]:
    """The images of a sheet, row by row."""
    height, width, channels = SHAPES[model]
    rows, cols = sheet.shape[0] // height, sheet.shape[1] // width
    apart = sheet.reshape(rows, height, cols, width, channels).swapaxes(1, 2)
    return apart.reshape(-1, height, width, channels)
