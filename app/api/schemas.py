"""What answers say in JSON."""

from typing import Annotated

from pydantic import BaseModel, Field

from app.artifact.card import AttributeName, Card, Effect
from app.latent.interpolation import Easing
from app.latent.sampling import Method

PngText = Annotated[
    str, Field(description="the PNG file in base64", examples=["iVBORw0KGgoAAAANSUhEUgAA…"])
]


class GeneratedImage(BaseModel):
    """One image of an answer."""

    seed: int = Field(examples=[42])
    url: str = Field(
        description="where this very image can be had again",
        examples=["/images/fashion-mnist/1/42.png"],
    )
    png: PngText


class Generated(BaseModel):
    """Answer of ``POST /generate``."""

    model: str = Field(examples=["fashion-mnist"])
    version: int = Field(examples=[1])
    images: list[GeneratedImage]


class LatentImage(BaseModel):
    """One image of a latent that the request gave."""

    latent: list[float] = Field(description="as it was drawn from, in 32-bit floats")
    png: PngText


class GeneratedFromLatents(BaseModel):
    """Answer of ``POST /generate`` to latents."""

    model: str = Field(examples=["fashion-mnist"])
    version: int = Field(examples=[1])
    images: list[LatentImage]


class Frame(BaseModel):
    """One frame of an interpolation."""

    position: float = Field(description="share of the way: 0 at the first seed, 1 at its end")
    png: PngText


class Interpolated(BaseModel):
    """Answer of ``GET /interpolate``."""

    model: str = Field(examples=["fashion-mnist"])
    version: int = Field(examples=[1])
    method: Method
    seeds: list[int] = Field(description="where the way leads through", examples=[[3, 17]])
    loop: bool = Field(description="whether it leads back, to one frame before the first")
    easing: Easing
    frames: list[Frame]


class Neighbour(BaseModel):
    """One image of a neighbourhood."""

    png: PngText


class Surroundings(BaseModel):
    """Answer of ``POST /arithmetic`` and ``GET /variations``."""

    model: str = Field(examples=["fashion-mnist"])
    version: int = Field(examples=[1])
    seed: int = Field(description="whose noise it is", examples=[42])
    radius: float = Field(description="how far the noise reaches", examples=[0.25])
    rows: int = Field(examples=[3])
    cols: int = Field(examples=[3])
    middle: int = Field(description="which image has no noise, from 0 on", examples=[4])
    images: list[Neighbour] = Field(description="row by row")


class ServedVersion(BaseModel):
    """One version in service."""

    version: int
    provider: str = Field(description="where it really runs")
    precision: str = Field(description="of its arithmetic")
    graph: str = Field(description="which of the card's graphs draws")
    attributes: dict[AttributeName, Effect] = Field(
        description="what `edit` takes, and what each does at strength 2; the card has the vectors",
        examples=[{"glasses": {"gained": 0.95, "kept": 0.92}}],
    )
    card: Card


class ServedModel(BaseModel):
    """One model in service."""

    name: str
    default_version: int
    versions: list[ServedVersion]


class RefusedVersion(BaseModel):
    """One version that is kept out of service."""

    folder: str
    reason: str


class ServedModels(BaseModel):
    """Answer of ``GET /models``."""

    default: str | None = Field(description="the model that is meant where none is named")
    models: list[ServedModel]
    refused: list[RefusedVersion] = Field(description="what is left out, and why")


class ReadyVersion(BaseModel):
    """One version that answers."""

    model: str
    version: int
    provider: str = Field(description="where it really runs")
    precision: str = Field(description="of its arithmetic")


class Ready(BaseModel):
    """Answer of ``GET /health/ready``."""

    status: str = "ready"
    model: str = Field(description="the default model")
    version: int
    provider: str = Field(description="where it really runs")
    precision: str = Field(description="of its arithmetic")
    models: list[ReadyVersion]
    refused: list[RefusedVersion]


class Live(BaseModel):
    """Answer of ``GET /health/live``."""

    status: str = "live"
