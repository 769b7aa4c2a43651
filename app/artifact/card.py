"""The model card: the contract between the trainer, which writes it, and the server.

A version is a folder ``<models>/<name>/<version>/`` with ``card.json``, the ONNX files that the
card names, and ``samples.png``. The card is authoritative: a version whose files contradict it is
not served.
"""

import hashlib
import json
import re
import stat
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.artifact import atomic_files
from app.artifact.version_key import VersionKey
from app.latent.conditions import AttributeSampler, ClassSampler, Sampler
from app.latent.sampling import Prior

SCHEMA_VERSION: Final = 1
"""Version of the card format."""

CARD_FILE, SAMPLES_FILE = "card.json", "samples.png"
MAX_CARD_BYTES, MAX_GRAPH_BYTES = 2**22, 2**29
"""Several times what the widest latents and the largest generators need."""

INPUT, CLASSES, OUTPUT = "latents", "classes", "pixels"
"""Names of the input of every graph, the second input of a conditional one, and the output."""

ENCODER_FILE, IMAGES = "encoder.onnx", "images"
"""The usual name of an encoder's file, and the name of its input."""

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
MAX_VERSION = 2**31 - 1
VersionNumber = Annotated[int, Field(ge=1, le=MAX_VERSION)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.onnx$")]
AttributeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
ClassName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Pattern = Annotated[str, Field(pattern=r"^[0-9a-f]{1,16}$")]
Share = Annotated[float, Field(ge=0, le=1, description="share of the training images")]

# A list of numbers as json.dumps indents it. No string matches: JSON escapes line breaks.
_NUMBERS: Final = re.compile(r"\[\n([-+.,\deE\s]+)\]")


class CardError(ValueError):
    """The card or another file of a version is invalid; the message names the file and why."""


class _Part(BaseModel):
    # A schema of a response with a card says which of its fields are always there.
    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_serialization_defaults_required=True
    )


class Latent(_Part):
    """Input of the generator: float32 ``(n, width)``, sampled from ``prior``."""

    width: int = Field(ge=1, le=4096)
    prior: Prior


class Image(_Part):
    """Output of the generator: ``(n, height, width, channels)``."""

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
    """One ONNX file of the generator; all variants compute the same function."""

    file: FileName
    sha256: Sha256
    provider: Literal["any", "cpu", "cuda", "openvino"] = "any"


class Encoder(_Part):
    """The ONNX file of the encoder, which finds the generator's inputs for images.

    It takes ``images``, uint8 ``(n, height, width, channels)``, and returns float32 tensors with
    the names and widths of the generator's inputs. ``classes`` holds probabilities.
    """

    file: FileName
    sha256: Sha256
    size: int = Field(ge=1, le=MAX_GRAPH_BYTES, description="size of the file in bytes")


class DataSet(_Part):
    """The data set that the generator was trained on."""

    name: str
    licence: str
    images: int | None = Field(ge=1, description="null if unknown")


class Training(_Part):
    """How the generator was trained."""

    options: dict[str, Any]
    epochs: int = Field(ge=0)
    steps: int = Field(ge=0)
    seconds: float = Field(ge=0)
    device: str


class Metric(_Part):
    """One measured value and how it was measured."""

    value: float
    protocol: str


class ImageClass(_Part):
    """One of the exclusive classes of a conditional generator, whose index is its place."""

    name: ClassName
    share: Share


class ImageAttribute(_Part):
    """One attribute of a conditional generator."""

    name: AttributeName
    share: Share
    excludes: list[AttributeName] = Field(
        description="attributes that no training image combines with it"
    )


class Attributes(_Part):
    """The attributes of a conditional generator, and how the training images combine them."""

    # Named after the field, the class would collide with it in clients made by generators.
    model_config = ConfigDict(title="AttributeTable")

    attributes: list[ImageAttribute] = Field(min_length=1, max_length=64)
    patterns: list[Pattern] = Field(
        min_length=1,
        max_length=4096,
        description="attributes of training images chosen at random, as hexadecimal numbers: "
        "bit j says whether an image has attribute j",
    )

    @field_validator("patterns")
    @classmethod
    def _match_attributes(cls, patterns: list[str], info: ValidationInfo) -> list[str]:
        count = len(info.data.get("attributes", range(64)))
        for pattern in patterns:
            if int(pattern, 16) >> count:
                raise ValueError(f"{pattern} has more bits than there are attributes, {count}")
        return patterns


class Effect(_Part):
    """The measured effect of a direction at strength 2; null for one without an attribute."""

    gained: float | None = Field(
        None, ge=0, le=1, description="share of the images without the attribute that gain it"
    )
    kept: float | None = Field(
        None, ge=0, le=1, description="mean share of their other attributes that do not change"
    )


class Direction(Effect):
    """A direction in latent space: images gain an attribute along it, or change in another way."""

    vector: list[FiniteFloat] = Field(
        description="the step of strength 1: half of the images without the attribute gain it; of "
        "a direction without an attribute, one standard deviation of the latents"
    )

    @property
    def is_measured(self) -> bool:
        """Whether it is that of an attribute; others were found without labels."""
        return self.gained is not None

    @model_validator(mode="after")
    def _measured_whole(self) -> Self:
        if (self.gained is None) != (self.kept is None):
            raise ValueError("gained and kept must both be numbers or both be absent")
        return self


class Directions(_Part):
    """The directions along which images can be edited, and how they were found and measured."""

    protocol: str
    attributes: dict[AttributeName, Direction] = Field(min_length=1)

    def where(self, *, measured: bool) -> dict[str, Direction]:
        """The directions of attributes, or those that were found without labels; by name."""
        return {name: one for name, one in self.attributes.items() if one.is_measured == measured}


class Card(_Part):
    """Everything that the server and its clients need to know about one version."""

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
    classes: list[ImageClass] | None = Field(None, min_length=2, max_length=1024)
    attributes: Attributes | None = None
    directions: Directions | None = None
    encoder: Encoder | None = None

    @field_validator("directions")
    @classmethod
    def _match_latent_width(
        cls, directions: Directions | None, info: ValidationInfo
    ) -> Directions | None:
        latent: Latent | None = info.data.get("latent")  # absent if it is invalid itself
        if directions and latent:
            for name, direction in directions.attributes.items():
                if (found := len(direction.vector)) != latent.width:
                    raise ValueError(f"{name} has {found} numbers, a latent has {latent.width}")
        return directions

    @field_validator("classes")
    @classmethod
    def _distinct_names(cls, classes: list[ImageClass] | None) -> list[ImageClass] | None:
        names = [one.name for one in classes or ()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is the name of more than one class")
        if classes and not any(one.share for one in classes):
            raise ValueError("the shares of all classes are 0")
        return classes

    @field_validator("attributes")
    @classmethod
    def _consistent(cls, found: Attributes | None, info: ValidationInfo) -> Attributes | None:
        if found and info.data.get("classes"):
            raise ValueError("a card has classes or attributes, not both")
        names = [one.name for one in found.attributes] if found else []
        for one in found.attributes if found else ():
            if names.count(one.name) > 1:
                raise ValueError(f"{one.name} is the name of more than one attribute")
            if unknown := set(one.excludes) - set(names):
                raise ValueError(f"{one.name} excludes {min(unknown)}, which is no attribute")
        return found

    @property
    def editable(self) -> dict[str, Direction]:
        """The directions along which images can be edited, by name."""
        return self.directions.attributes if self.directions else {}

    @cached_property
    def sampler(self) -> Sampler | None:
        """Gives seeds their classes or attributes; None for an unconditional generator."""
        return sampler_of(self.classes, self.attributes)

    @property
    def graphs(self) -> "list[Variant | Encoder]":
        """All ONNX files: the variants and, if there is one, the encoder."""
        return [*self.variants, *([self.encoder] if self.encoder else [])]

    @property
    def inputs(self) -> dict[str, int]:
        """The inputs of the graph, float32 ``(n, width)``: their names and widths, in order."""
        condition = {CLASSES: len(self.sampler.names)} if self.sampler else {}
        return {INPUT: self.latent.width, **condition}

    def variant(self, provider: str) -> Variant:
        """Return the variant for ``provider``, or else the one for any. Raises CardError."""
        for wanted in (provider, "any"):
            for variant in self.variants:
                if variant.provider == wanted:
                    return variant
        raise CardError(f"{self.name}/{self.version}: has no variant for provider {provider}")

    def metadata(self) -> dict[str, str]:
        """Return the ``metadata_props`` of every graph of this version."""
        return metadata(self.name, self.version)


def sampler_of(classes: list[ImageClass] | None, attributes: Attributes | None) -> Sampler | None:
    """Return what gives seeds their classes or attributes; None if there are none."""
    if classes:
        return ClassSampler(tuple(one.name for one in classes), tuple(one.share for one in classes))
    if attributes:
        return AttributeSampler(
            tuple(one.name for one in attributes.attributes),
            tuple(int(pattern, 16) for pattern in attributes.patterns),
            {one.name: frozenset(one.excludes) for one in attributes.attributes},
        )
    return None


def metadata(name: str, version: int) -> dict[str, str]:
    """Return the ``metadata_props`` of a graph of this name and version."""
    return {"name": name, "version": str(version), "card_schema": str(SCHEMA_VERSION)}


def version_numbers(model: Path) -> list[int]:
    """Return the numbers of the version folders in ``model``, sorted; empty if it is missing."""
    numbers = (VersionKey(model.name, path.name).number for path in model.glob("*/"))
    return sorted(number for number in numbers if number)


def read(folder: Path) -> Card:
    """Return the card in ``folder``. Raises CardError, also if it belongs to another folder."""
    path = folder / CARD_FILE
    content = _content(path, MAX_CARD_BYTES)
    try:
        card = parse(content)
    except CardError as error:
        raise CardError(f"{path}: {error}") from error
    if (card.name, str(card.version)) != (folder.parent.name, folder.name):
        place = f"{folder.parent.name}/{folder.name}"
        raise CardError(f"{path}: names {card.name}/{card.version} but lies in {place}")
    return card


def parse(content: bytes) -> Card:
    """Return the card in the JSON text ``content``. Raises CardError, which names the field."""
    try:
        return Card.model_validate_json(content)
    except ValidationError as error:
        raise CardError(_first_problem(error)) from error


def write(card: Card, folder: Path) -> None:
    """Write ``card`` as ``folder/card.json``."""
    atomic_files.write(folder / CARD_FILE, serialise(card))


def serialise(card: Card) -> bytes:
    """Return ``card`` as JSON text, each list of numbers on a line of its own."""
    optional = ("classes", "attributes", "directions", "encoder")
    absent = {name for name in optional if getattr(card, name) is None}
    content = json.dumps(card.model_dump(mode="json", exclude=absent), indent=2)
    flat = _NUMBERS.sub(lambda numbers: f"[{' '.join(numbers[1].split())}]", content)
    return (flat + "\n").encode()


def load_graph(folder: Path, graph: Variant | Encoder) -> bytes:
    """Return the ONNX file of ``graph``: the bytes whose hash was checked. Raises CardError."""
    path = folder / graph.file
    content = _content(path, MAX_GRAPH_BYTES)
    found = digest(content)
    if found != graph.sha256:
        raise CardError(f"{path}: has SHA-256 {found}, but the card says {graph.sha256}")
    return content


def _content(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file of at most ``max_bytes``. Raises CardError."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CardError(f"{path}: is not a regular file")
        if status.st_size > max_bytes:
            raise CardError(f"{path}: has {status.st_size} bytes, at most {max_bytes} are allowed")
        return path.read_bytes()
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror}") from error


def digest(content: bytes) -> str:
    """Return the SHA-256 hash of ``content`` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    place = [".".join(str(part) for part in problem["loc"])] if problem["loc"] else []
    return ": ".join([*place, problem["msg"].removeprefix("Value error, ")])
