"""The model card: the contract between the trainer, which writes it, and the server.

A version is a folder ``<models>/<name>/<version>/`` with ``card.json``, the graphs that the card
names, and ``samples.png``. The card is authoritative; whatever contradicts it keeps the version out
of service.
"""

import hashlib
import json
import re
import stat
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from app.artifact import atomic_files
from app.latent.sampling import Prior

SCHEMA_VERSION: Final = 1
"""The version of the card's own form."""

CARD_FILE, SAMPLES_FILE = "card.json", "samples.png"
MAX_CARD_BYTES, MAX_GRAPH_BYTES = 2**22, 2**29
"""Bytes: several times what the widest latents and the largest generators need."""

INPUT, OUTPUT = "latents", "pixels"
"""The names of the graph's one input and one output."""

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
VersionNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.onnx$")]
AttributeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]

# A list of numbers as json.dumps indents it. No text looks like one: JSON escapes line breaks.
_NUMBERS: Final = re.compile(r"\[\n([-+.,\deE\s]+)\]")


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

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels


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


class Effect(_Part):
    """What a direction was found to do, at strength 2."""

    gained: float = Field(ge=0, le=1, description="share of the images without it that gain it")
    kept: float = Field(ge=0, le=1, description="mean share of their other attributes that stay")


class Direction(Effect):
    """Where in latent space images have an attribute that others have not."""

    vector: list[FiniteFloat] = Field(
        description="the step of strength 1, which half of the images without it need to gain it"
    )


class Directions(_Part):
    """The attributes that can be edited, and how their directions were found and measured."""

    protocol: str
    attributes: dict[AttributeName, Direction] = Field(min_length=1)


class Card(_Part):
    """All that is said of one version."""

    schema_version: Literal[1] = 1
    name: ModelName
    version: VersionNumber
    created: datetime
    latent: Latent
    image: Image
    opset: int = Field(ge=7)
    variants: list[Variant] = Field(min_length=1)
    dataset: DataSet
    training: Training
    metrics: dict[str, Metric]
    libraries: dict[str, str]
    directions: Directions | None = None

    @field_validator("directions")
    @classmethod
    def _as_wide_as_latents(
        cls, directions: Directions | None, info: ValidationInfo
    ) -> Directions | None:
        latent: Latent | None = info.data.get("latent")  # absent where it is wrong itself
        if directions and latent:
            for name, direction in directions.attributes.items():
                if (found := len(direction.vector)) != latent.width:
                    raise ValueError(f"{name} has {found} numbers, a latent has {latent.width}")
        return directions

    @property
    def attributes(self) -> dict[str, Direction]:
        """What can be edited in this version's images, by name."""
        return self.directions.attributes if self.directions else {}

    def variant(self, provider: str) -> Variant:
        """The graph that is meant for ``provider``, else one for any. Raises CardError."""
        for meant in (provider, "any"):
            for variant in self.variants:
                if variant.provider == meant:
                    return variant
        raise CardError(f"{self.name}/{self.version}: has no graph for provider {provider}")

    def metadata(self) -> dict[str, str]:
        """What every graph of this version carries in its ``metadata_props``."""
        return metadata(self.name, self.version)


def metadata(name: str, version: int) -> dict[str, str]:
    """The ``metadata_props`` of a graph of this name and version."""
    return {"name": name, "version": str(version), "card_schema": str(SCHEMA_VERSION)}


def version_numbers(model: Path) -> list[int]:
    """The numbers of the version folders in ``model``, sorted; none where it does not exist."""
    names = [path.name for path in model.glob("*/")]
    return sorted(int(name) for name in names if re.fullmatch(r"[1-9]\d*", name))


def read(folder: Path) -> Card:
    """The card in ``folder``, checked against the folder's place. Raises CardError."""
    path = folder / CARD_FILE
    try:
        card = Card.model_validate_json(_content(path, MAX_CARD_BYTES))
    except ValidationError as error:
        raise CardError(f"{path}: {_first(error)}") from error
    if (card.name, str(card.version)) != (folder.parent.name, folder.name):
        place = f"{folder.parent.name}/{folder.name}"
        raise CardError(f"{path}: says {card.name}/{card.version} but lies in {place}")
    return card


def write(card: Card, folder: Path) -> None:
    """Write ``card`` as ``folder/card.json``, every list of numbers on a line of its own."""
    absent = None if card.directions else {"directions"}
    content = json.dumps(card.model_dump(mode="json", exclude=absent), indent=2)
    flat = _NUMBERS.sub(lambda numbers: f"[{' '.join(numbers[1].split())}]", content)
    atomic_files.write(folder / CARD_FILE, (flat + "\n").encode())


def load_graph(folder: Path, variant: Variant) -> bytes:
    """The graph of ``variant``: the very bytes whose hash was checked. Raises CardError."""
    path = folder / variant.file
    graph = _content(path, MAX_GRAPH_BYTES)
    found = digest(graph)
    if found != variant.sha256:
        raise CardError(f"{path}: has SHA-256 {found}, the card says {variant.sha256}")
    return graph


def _content(path: Path, most: int) -> bytes:
    """All of a plain file of ``most`` bytes at most. Raises CardError."""
    try:
        told = path.stat()
        if not stat.S_ISREG(told.st_mode):
            raise CardError(f"{path}: is not a plain file")
        if told.st_size > most:
            raise CardError(f"{path}: has {told.st_size} bytes, more than the {most} that are read")
        return path.read_bytes()
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror}") from error


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place or 'the whole'}: {problem['msg'].removeprefix('Value error, ')}"
