"""Request and response models. Requests refuse parameters that they do not know."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.card import Card, ModelName, ModelVersion
from app.latents import SEEDS, Method

Seed = Annotated[int, Field(ge=0, le=SEEDS - 1, examples=[42])]
PngText = Annotated[
    str, Field(description="the PNG file in base64", examples=["iVBORw0KGgoAAAANSUhEUgAA…"])
]
_SEED = "drawn at random where it is left out"


class ModelQuery(BaseModel):
    """Which version draws."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    model: ModelName | None = Field(
        None, description="a served model; by default the server's", examples=["fashion-mnist"]
    )
    version: ModelVersion | None = Field(
        None, description="its version; by default the highest", examples=[1]
    )


class GenerateQuery(ModelQuery):
    """Of ``POST /generate``."""

    n: int = Field(16, ge=1, le=256, description="how many images")
    seed: Seed | None = Field(None, description=f"the first image's seed; {_SEED}")


class InterpolateQuery(ModelQuery):
    """Of ``GET /interpolate``."""

    start: Seed = Field(alias="from", description="seed of the first frame", examples=[3])
    end: Seed = Field(alias="to", description="seed of the last frame", examples=[17])
    steps: int = Field(8, ge=2, le=256, description="how many frames, both ends included")
    method: Method = Field("slerp", description="along the great arc, or along the straight line")


class GridQuery(ModelQuery):
    """Of ``GET /grid``."""

    rows: int = Field(4, ge=1, le=256, description="rows; rows x cols is at most 256")
    cols: int = Field(4, ge=1, le=256, description="columns")
    seed: Seed | None = Field(None, description=f"the first image's seed; {_SEED}")


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


class Frame(BaseModel):
    """One frame of an interpolation."""

    position: float = Field(description="0 at the first seed, 1 at the last")
    png: PngText


class Interpolated(BaseModel):
    """Answer of ``GET /interpolate``."""

    model: str = Field(examples=["fashion-mnist"])
    version: int = Field(examples=[1])
    method: Method
    frames: list[Frame]


class ServedVersion(BaseModel):
    """One version in service."""

    version: int
    provider: str = Field(description="where it really runs")
    card: Card


class ServedModel(BaseModel):
    """One model in service."""

    name: str
    default_version: int
    versions: list[ServedVersion]


class ServedModels(BaseModel):
    """Answer of ``GET /models``."""

    default: str | None = Field(description="the model that is meant where none is named")
    models: list[ServedModel]


class RefusedVersion(BaseModel):
    """One version that is kept out of service."""

    folder: str
    reason: str


class ReadyVersion(BaseModel):
    """One version that answers."""

    model: str
    version: int
    provider: str = Field(description="where it really runs")


class Ready(BaseModel):
    """Answer of ``GET /health/ready``."""

    status: str = "ready"
    model: str = Field(description="the default model")
    version: int
    provider: str = Field(description="where it really runs")
    models: list[ReadyVersion]
    refused: list[RefusedVersion]


class Live(BaseModel):
    """Answer of ``GET /health/live``."""

    status: str = "live"
