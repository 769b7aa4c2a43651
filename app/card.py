"""The model card: the contract between the trainer, which writes it, and the server.

A version is a folder ``<models>/<name>/<version>/`` with ``card.json``, the graphs that the card
names, and ``samples.png``. The card is authoritative; whatever contradicts it keeps the version out
of service.
"""

import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.latents import Prior

SCHEMA: Final = 1
"""The version of the card's own form."""

CARD, SHEET = "card.json", "samples.png"
INPUT, OUTPUT = "latents", "pixels"
"""The names of the graph's one input and one output."""

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
ModelVersion = Annotated[int, Field(ge=1, le=2**31 - 1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.onnx$")]


class CardError(ValueError):
    """A version whose card or files cannot be trusted; the text names the file and why."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Latent(_Part):
    """What a generator takes: float32 ``(n, width)``, drawn from ``prior``."""

    width: int = Field(ge=1, le=4096)
    prior: Prior


class Image(_Part):
    """What it gives: ``(n, height, width, channels)``."""

    height: int = Field(ge=1, le=1024)
    width: int = Field(ge=1, le=1024)
    channels: Literal[1, 3]
    layout: Literal["nhwc"] = "nhwc"
    dtype: Literal["uint8"] = "uint8"


class Variant(_Part):
    """One graph: the same function, written for a provider."""

    file: FileName
    sha256: Sha256
    provider: Literal["any", "cpu", "cuda", "openvino"] = "any"


class DataSet(_Part):
    """What the generator learned from."""

    name: str
    licence: str
    images: int | None = Field(ge=1, description="none where nobody knows")


class Training(_Part):
    """How it was trained."""

    options: dict[str, Any]
    epochs: int = Field(ge=0)
    steps: int = Field(ge=0)
    seconds: float = Field(ge=0)
    device: str


class Metric(_Part):
    """One measured figure and how it was measured."""

    value: float
    protocol: str


class Card(_Part):
    """All that is said of one version."""

    schema_version: Literal[1] = 1
    name: ModelName
    version: ModelVersion
    created: datetime
    latent: Latent
    image: Image
    opset: int = Field(ge=7)
    variants: list[Variant] = Field(min_length=1)
    dataset: DataSet
    training: Training
    metrics: dict[str, Metric]
    libraries: dict[str, str]

    def metadata(self) -> dict[str, str]:
        """What every graph of this version carries in its ``metadata_props``."""
        return metadata(self.name, self.version)


def metadata(name: str, version: int) -> dict[str, str]:
    """The ``metadata_props`` of a graph of this name and version."""
    return {"name": name, "version": str(version), "card_schema": str(SCHEMA)}


def versions(model: Path) -> list[int]:
    """The numbers of the version folders in ``model``, sorted; none where it does not exist."""
    names = [path.name for path in model.glob("*/")]
    return sorted(int(name) for name in names if re.fullmatch(r"[1-9]\d*", name))


def read(folder: Path) -> Card:
    """The card in ``folder``, checked against the folder's place. Raises CardError."""
    path = folder / CARD
    try:
        card = Card.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise CardError(f"{path}: {_first(error)}") from error
    if (card.name, str(card.version)) != (folder.parent.name, folder.name):
        place = f"{folder.parent.name}/{folder.name}"
        raise CardError(f"{path}: says {card.name}/{card.version} but lies in {place}")
    return card


def write(card: Card, folder: Path) -> None:
    """Write ``card`` as ``folder/card.json``."""
    content = json.dumps(card.model_dump(mode="json"), indent=2)
    (folder / CARD).write_text(content + "\n")


def load(folder: Path, variant: Variant) -> bytes:
    """The graph of ``variant``: the very bytes whose hash was checked. Raises CardError."""
    path = folder / variant.file
    try:
        graph = path.read_bytes()
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror}") from error
    found = digest(graph)
    if found != variant.sha256:
        raise CardError(f"{path}: has SHA-256 {found}, the card says {variant.sha256}")
    return graph


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place or 'the whole'}: {problem['msg']}"
