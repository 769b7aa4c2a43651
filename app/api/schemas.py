"""Response bodies in JSON."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.api.response_body import SparseBody, WholeBody
from app.artifact.card import AttributeName, Card, Effect, ImageAttribute, ImageClass
from app.latent.interpolation import Easing
from app.latent.sampling import Method

PngText = Annotated[
    str, Field(description="the PNG file in base64", examples=["iVBORw0KGgoAAAANSUhEUgAA…"])
]


class Conditional(SparseBody):
    """The class or the attributes of one image of a conditional model."""

    model_config = ConfigDict(extra="ignore")

    class_: str | dict[str, float] | None = Field(
        None,
        alias="class",
        description="the class of the image, or the weights of a mixture by class; absent if the "
        "model has no classes",
        examples=["sneaker"],
    )
    attributes: dict[str, float] | None = Field(
        None,
        description="the attributes of the image, from 0 to 1; absent if the model has none that "
        "can be chosen",
        examples=[{"glasses": 1, "beard": 0}],
    )


class FromVersion(SparseBody):
    """The version that generated the images of a response."""

    model: str = Field(examples=["fashion-mnist"])
    version: int = Field(examples=[3])


class SomeImage(Conditional):
    """One image, which has a URL if it is that of a seed alone."""

    seed: int | None = Field(
        None, description="the image's seed; absent if it is not that of a seed", examples=[42]
    )
    url: str | None = Field(
        None,
        description="absolute URL of this image; absent if it is not that of a seed",
        examples=["http://127.0.0.1:8000/images/fashion-mnist/3/42.png"],
    )
    width: int = Field(description="in pixels", examples=[28])
    height: int = Field(description="in pixels", examples=[28])
    png: PngText | None = Field(
        None, description="the PNG file in base64; absent with `format=urls`"
    )


class GeneratedImage(SomeImage):
    """One image of a seed, or of a latent in the request."""

    latent: list[float] | None = Field(
        None, description="the latent, rounded to 32-bit floats; absent if the image has a seed"
    )


class Generated(FromVersion):
    """Response of ``POST /generate``, and of ``GET`` and ``POST /grid``."""

    images: list[GeneratedImage]


class EncodedImage(Conditional):
    """One uploaded image."""

    latent: list[float] = Field(
        description="the latent whose image resembles the upload", examples=[[0.31, -1.2, 0.07]]
    )
    probabilities: dict[str, float] | None = Field(
        None,
        description="the probability of each class or attribute by name; absent if the model has "
        "none that can be chosen",
        examples=[{"sneaker": 0.93, "bag": 0.01}],
    )
    inverted: bool = Field(description="whether the colours of the upload were inverted")
    error: float = Field(
        description="mean squared difference of the reconstruction from the upload, in pixels from "
        "0 to 1",
        examples=[0.012],
    )
    png: PngText


class Encoded(FromVersion):
    """Response of ``POST /encode``."""

    images: list[EncodedImage]


class Frame(SomeImage):
    """One frame of an interpolation; those at its seeds have a URL."""

    position: float = Field(description="position on the path: 0 at its first seed, 1 at its end")


class Interpolated(FromVersion):
    """Response of ``GET`` and ``POST /interpolate``."""

    method: Method
    seeds: list[int] | None = Field(
        None,
        description="the seeds of the path; absent if it leads through latents of the request",
        examples=[[3, 17]],
    )
    loop: bool = Field(description="true if the path closes; the repeated last frame is omitted")
    easing: Easing
    frames: list[Frame]


class NeighbourImage(SomeImage):
    """One image of a neighbourhood; that of the seed in the middle has a URL."""


class Neighbours(FromVersion):
    """Response of ``POST /arithmetic``, and of ``GET`` and ``POST /variations``."""

    seed: int = Field(description="seed of the noise", examples=[42])
    radius: float = Field(description="largest size of the noise", examples=[0.25])
    rows: int = Field(examples=[3])
    cols: int = Field(examples=[3])
    middle: int = Field(description="index of the image without noise", examples=[4])
    images: list[NeighbourImage] = Field(description="row by row")


class ServedClass(ImageClass):
    """One class of a conditional model."""

    index: int = Field(description="the index that `class` accepts, too", examples=[7])
    example: str = Field(
        description="absolute URL of an image of this class",
        examples=["http://127.0.0.1:8000/images/fashion-mnist/3/0.png?class=sneaker"],
    )


class ServedAttribute(ImageAttribute):
    """One attribute that `attributes` accepts."""

    example: str = Field(
        description="absolute URL of an image with this attribute",
        examples=["http://127.0.0.1:8000/images/faces/2/0.png?attributes=glasses"],
    )


class ServedVersion(BaseModel):
    """One version in service."""

    version: int
    provider: str = Field(description="the provider that is running")
    precision: str = Field(description="precision of its arithmetic")
    graph: str = Field(description="the model file that is running")
    attributes: dict[AttributeName, Effect] = Field(
        description="the directions for `edit` and the effect of each at strength 2; null for "
        "directions without an attribute, such as `sefa_1`; the card has the vectors",
        examples=[{"glasses": {"gained": 0.95, "kept": 0.92}}],
    )
    classes: list[ServedClass] = Field(description="the classes for `class`, in order")
    condition_attributes: list[ServedAttribute] = Field(
        description="the attributes for `attributes`"
    )
    card: Card


class ServedModel(BaseModel):
    """One model in service."""

    name: str
    default_version: int = Field(description="the version of requests that name none")
    versions: list[ServedVersion]


class RefusedVersion(BaseModel):
    """One version folder that is not in service."""

    folder: str
    reason: str


class ServedModels(BaseModel):
    """Response of ``GET /models``."""

    default: str | None = Field(description="the model of requests that name none")
    models: list[ServedModel]
    loading: list[str] = Field(description="the versions that are being loaded")
    refused: list[RefusedVersion] = Field(description="what is not in service, and why")


class ReadyVersion(BaseModel):
    """One version in service."""

    model: str
    version: int
    provider: str = Field(description="the provider that is running")
    precision: str = Field(description="precision of its arithmetic")
    experimental: bool = Field(description="whether this provider has not run on its hardware yet")


class Ready(WholeBody):
    """Response of ``GET /health/ready``."""

    status: str = "ready"
    model: str = Field(description="the default model")
    version: int
    provider: str = Field(description="the provider that is running")
    precision: str = Field(description="precision of its arithmetic")
    models: list[ReadyVersion]
    loading: list[str] = Field(description="the versions that are being loaded")
    refused: list[RefusedVersion]


class Live(WholeBody):
    """Response of ``GET /health/live``."""

    status: str = "live"
