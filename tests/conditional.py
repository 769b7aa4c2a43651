"""Conditional generators whose pixels are their conditions and latents, to compute by hand."""

import base64
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image as Pictures

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
from app.main import create_app
from app.settings import Settings
from tests import painting

OPSET, WIDTH = 17, 8
CLASSES = {"boot": 0.5, "sneaker": 0.25, "t-shirt": 0.125, "0": 0.125}
"""Names and shares. The class at index 3 has the name "0"."""
ATTRIBUTES = {"glasses": [], "blond": ["brown"], "brown": ["blond"], "smile": []}
"""Names, and what each excludes."""
PATTERNS = ["1", "2", "c", "c"]
"""Only glasses; only blond; twice brown with a smile."""
FULL = 200
"""The pixel of a class or an attribute that is 1."""
EDIT = [1.0, *[0.0] * (WIDTH - 1)]
"""The direction of the edit "hat": it makes the first pixel of the second row lighter by 16."""


def graph(name: str) -> bytes:
    """A generator of images ``(3, 4, 1)``.

    The first row is FULL × the condition, the others are 128 + 16 × the latent, clipped to 0 … 255.
    """
    constants = {
        "full": np.float32([FULL]),
        "scale": np.float32([16]),
        "offset": np.float32([128]),
        "least": np.array(0, np.float32),
        "most": np.array(255, np.float32),
        "shape": np.array([-1, 3, 4, 1]),
    }
    nodes = [
        helper.make_node("Mul", ["classes", "full"], ["first"]),
        helper.make_node("Mul", ["latents", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["others"]),
        helper.make_node("Concat", ["first", "others"], ["joined"], axis=1),
        helper.make_node("Clip", ["joined", "least", "most"], ["clipped"]),
        helper.make_node("Round", ["clipped"], ["rounded"]),
        helper.make_node("Reshape", ["rounded", "shape"], ["image"]),
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.UINT8),
    ]
    made = helper.make_graph(
        nodes,
        name,
        [
            helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["n", WIDTH]),
            helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["n", 4]),
        ],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 3, 4, 1])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(model, card.metadata(name, 1))
    content: bytes = model.SerializeToString()
    return content


def described(name: str, content: bytes) -> Card:
    """The card of "shoes", which has classes, or of "people", which has attributes."""
    classes = [ImageClass(name=one, share=share) for one, share in CLASSES.items()]
    attributes = Attributes(
        attributes=[
            ImageAttribute(name=one, share=0.5, excludes=excludes)
            for one, excludes in ATTRIBUTES.items()
        ],
        patterns=PATTERNS,
    )
    hat = Direction(vector=EDIT, gained=0.75, kept=0.9)
    return Card(
        name=name,
        version=1,
        created=datetime.now(UTC),
        latent=Latent(width=WIDTH, prior="normal"),
        image=Image(height=3, width=4, channels=1),
        opset=OPSET,
        variants=[Variant(file="generator.onnx", sha256=card.digest(content))],
        dataset=DataSet(name="none", licence="none", images=None),
        training=Training(options={}, epochs=0, steps=0, seconds=0, device="none"),
        metrics={},
        libraries={},
        classes=classes if name == "shoes" else None,
        attributes=attributes if name == "people" else None,
        directions=Directions(protocol="none", attributes={"hat": hat}),
    )


def publish(name: str, models: Path) -> None:
    """Publish that generator as version 1: "shoes" or "people"."""
    folder = models / name / "1"
    folder.mkdir(parents=True)
    content = graph(name)
    (folder / "generator.onnx").write_bytes(content)
    card.write(described(name, content), folder)


def expected(latents: NDArray[np.float32], conditions: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The pixels of latents ``(n, 8)`` and conditions ``(n, 4)``: ``(n, 3, 4, 1)``."""
    joined = np.concatenate([FULL * conditions, 16 * latents + np.float32(128)], axis=1)
    return joined.clip(0, 255).round().astype(np.uint8).reshape(-1, 3, 4, 1)


def tiles(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The images of a sheet, row by row."""
    apart = sheet.reshape(sheet.shape[0] // 3, 3, sheet.shape[1] // 4, 4, 1).swapaxes(1, 2)
    return apart.reshape(-1, 3, 4, 1)


def info(content: bytes) -> dict[str, str]:
    """The text chunks of a PNG file."""
    with Pictures.open(io.BytesIO(content)) as image:
        return dict(image.info)


def pixels(
    images: list[dict[str, Any]], decode: Callable[[bytes], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """The images of a JSON response."""
    decoded = [decode(base64.b64decode(one["png"])) for one in images]
    return np.stack(decoded).reshape(-1, 3, 4, 1)


def refused(client: TestClient, path: str, body: object = None) -> list[dict[str, Any]]:
    """The errors in the response to a request, GET without a body except for ``/generate``."""
    method = "GET" if body is None and not path.startswith("/generate") else "POST"
    content = None if body is None else json.dumps(body)
    response = client.request(
        method, path, content=content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422, response.text
    problem = response.json()
    for error in problem["errors"]:
        assert f"{error['parameter']} is " in problem["detail"]
        assert error["allowed"] in problem["detail"]
    errors: list[dict[str, Any]] = problem["errors"]
    return errors


def application(models: Path, default_model: str) -> FastAPI:
    """The application with the models "shoes", "people" and "grey", the last unconditional."""
    for name in ("shoes", "people"):
        publish(name, models)
    painting.publish("grey", models)
    return create_app(Settings(models=models, default_model=default_model, provider="cpu"))
