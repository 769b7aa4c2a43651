"""What requests may say. Parameters that they do not know are refused."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from app import edits
from app.card import ModelName, ModelVersion
from app.images import LARGEST_SCALE, WIDEST_PADDING, Sheet
from app.latents import SEEDS, Method
from app.look import Look
from app.paths import Easing


def _whole(number: object) -> object:
    """In JSON 3.0 is an integer as good as 3 (JSON Schema 2020-12, Validation, section 6.1.1)."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Seed = Annotated[int, Field(ge=0, le=SEEDS - 1, examples=[42]), BeforeValidator(_whole)]
Radius = Annotated[
    float, Field(ge=0, le=2, allow_inf_nan=False, description="how far the noise reaches")
]
Format = Literal["png", "gif", "webp", "apng", "json", "ndjson", "zip"]
Truncation = Annotated[
    float,
    Field(
        gt=0,
        le=2,
        allow_inf_nan=False,
        description="what the latents of seeds are multiplied by: below 1 images are more typical, "
        "above it more unusual",
        examples=[0.7],
    ),
]
_SEED = "drawn at random where it is left out"


def _split(texts: list[str]) -> list[str]:
    """A list in the query: its values are separated by commas, or sent one by one."""
    return [value for text in texts for value in text.split(",")]


def _odd_square(count: int) -> int:
    if count not in _ODD_SQUARES:
        raise ValueError("a square sheet has a middle where its side is odd")
    return count


_ODD_SQUARES = [side**2 for side in range(1, 16, 2)]
# A Literal would take true for 1 as well.
OddSquare = Annotated[
    int,
    AfterValidator(_odd_square),
    Field(json_schema_extra={"enum": [*_ODD_SQUARES]}),
]
Group = Annotated[list[Seed], Field(min_length=1, max_length=16)]
Corners = Annotated[list[Seed], BeforeValidator(_split), Field(min_length=4, max_length=4)]
Stops = Annotated[list[Seed], BeforeValidator(_split), Field(min_length=2, max_length=16)]


def _each_once(steps: list[str]) -> list[str]:
    edits.read(steps)
    return steps


_EDIT = "attributes and how strongly each is given, from -5 to 5; below 0 it is taken away"
Strength = Annotated[float, Field(ge=-edits.STRONGEST, le=edits.STRONGEST, allow_inf_nan=False)]
Steps = Annotated[
    list[Annotated[str, Field(pattern=edits.STEP)]],
    BeforeValidator(_split),
    AfterValidator(_each_once),
    Field(min_length=1, max_length=edits.MOST),
]


class ModelQuery(BaseModel):
    """Which version draws."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    model: ModelName | None = Field(
        None, description="a served model; by default the server's", examples=["fashion-mnist"]
    )
    version: ModelVersion | None = Field(
        None, description="its version; by default the highest", examples=[1]
    )


class EditQuery(BaseModel):
    """How images are edited."""

    model_config = ConfigDict(extra="forbid")

    edit: Steps | None = Field(None, description=_EDIT, examples=[["glasses:2", "beard:-1.5"]])

    @property
    def strengths(self) -> dict[str, float]:
        """The strength of every attribute that is named."""
        return edits.read(self.edit or [])


class EditBody(BaseModel):
    """The same in JSON, where it may be all there is to say."""

    # In JSON a number has no need to come as text, nor a seed as a truth value.
    model_config = ConfigDict(extra="forbid", strict=True)

    edit: dict[str, Strength] = Field(
        # The first example is what the page of documentation sends, to whichever model.
        {},
        max_length=edits.MOST,
        description=_EDIT,
        examples=[{}, {"glasses": 2, "beard": -1.5}],
    )

    _integers = field_validator("*", mode="before")(_whole)


class LookQuery(BaseModel):
    """How every image looks."""

    model_config = ConfigDict(extra="forbid")

    truncation: Truncation = 1.0
    scale: int = Field(
        1, ge=1, le=LARGEST_SCALE, description="every pixel is so many wide and high"
    )

    @property
    def look(self) -> Look:
        """The same, as what draws takes it."""
        return Look(self.truncation, self.scale)


class SheetQuery(LookQuery):
    """How images lie on a sheet; what has none is not concerned."""

    padding: int = Field(
        0, ge=0, le=WIDEST_PADDING, description="black pixels between the images of a sheet"
    )

    def sheet(self, columns: int) -> Sheet:
        """The sheet of so many columns."""
        return Sheet(columns, self.padding)

    @property
    def told(self) -> dict[str, object]:
        """What the client said of the sheet's size."""
        named = ("scale", "padding", "columns")
        return {name: getattr(self, name) for name in named if name in self.model_fields_set}


class ColumnsQuery(SheetQuery):
    """The same where images have no rows of their own."""

    columns: int | None = Field(None, ge=1, le=256, description="how many images a row of a sheet")


class ImageQuery(LookQuery, EditQuery):
    """Of ``GET /images/…``."""


class GenerateQuery(ColumnsQuery, ModelQuery):
    """Of ``POST /generate``."""

    n: int = Field(16, ge=1, le=256, description="how many images")
    seed: Seed | None = Field(None, description=f"the first image's seed; {_SEED}")


class InterpolateQuery(ColumnsQuery, EditQuery, ModelQuery):
    """Of ``GET /interpolate``."""

    start: Seed | None = Field(
        None, alias="from", description="seed of the first frame; `seeds` excludes it"
    )
    end: Seed | None = Field(
        None, alias="to", description="seed of the last frame; `seeds` excludes it"
    )
    seeds: Stops | None = Field(
        None,
        description="a path through these, 2 to 16 in number, in place of `from` and `to`",
        examples=[[3, 17, 99]],
    )
    steps: int = Field(
        8, ge=2, le=256, description="how many frames from one seed to the next, both included"
    )
    method: Method = Field("slerp", description="along the great arc, or along the straight line")
    loop: bool = Field(
        False,
        description="lead back to the first seed; an animation repeats for ever, else plays once",
    )
    easing: Easing = Field("linear", description="how every leg is set out on and ended")
    format: Format | None = Field(
        None, description="what is answered; by default what `Accept` prefers, else a strip in PNG"
    )
    fps: float = Field(
        12, ge=1, le=50, allow_inf_nan=False, description="frames of an animation in a second"
    )


class GridQuery(SheetQuery, EditQuery, ModelQuery):
    """Of ``GET /grid``."""

    rows: int = Field(4, ge=1, le=256, description="rows; rows x cols is at most 256")
    cols: int = Field(4, ge=1, le=256, description="columns")
    seed: Seed | None = Field(
        None, description=f"the first image's seed; {_SEED}; `corners` excludes it"
    )
    corners: Corners | None = Field(
        None,
        description="four seeds: top left, top right, bottom left, bottom right",
        examples=[[1, 2, 3, 4]],
    )


class VariationsQuery(SheetQuery, EditQuery, ModelQuery):
    """Of ``GET /variations``."""

    seed: Seed = Field(description="seed of the image in the middle")
    radius: Radius = 0.25
    rows: int = Field(3, ge=1, le=256, description="rows; rows x cols is at most 256")
    cols: int = Field(3, ge=1, le=256, description="columns")


class ArithmeticQuery(BaseModel):
    """Of ``POST /arithmetic``: there is nothing to say beside the body."""

    model_config = ConfigDict(extra="forbid")


class ArithmeticBody(SheetQuery, EditBody, ModelQuery):
    """Of ``POST /arithmetic``."""

    plus: list[Group] = Field(
        min_length=1,
        max_length=8,
        description="groups of seeds; the mean latent of each is added",
        examples=[[[3, 4, 5], [6, 7, 8]]],
    )
    minus: list[Group] = Field(
        [],
        max_length=8,
        description="groups of seeds; the mean latent of each is taken away",
        examples=[[[0, 1, 2]]],
    )
    neighbours: OddSquare = Field(
        9, description="how many images, on a square sheet, the result in its middle included"
    )
    radius: Radius = 0.25
