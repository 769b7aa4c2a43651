"""What requests may say. Parameters that they do not know are refused."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.api.values import (
    Corners,
    Format,
    Group,
    OddSquare,
    Radius,
    Rows,
    Scale,
    Seed,
    Seeds,
    Steps,
    Stops,
    Strength,
    Truncation,
    whole,
)
from app.artifact.card import ModelName, VersionNumber
from app.imaging.render_options import Look
from app.imaging.sheets import MAX_PADDING, Sheet
from app.latent import edits
from app.latent.interpolation import Easing
from app.latent.sampling import Method

_SEED = "drawn at random where it is left out"
_EDIT = "attributes and how strongly each is given, from -5 to 5; below 0 it is taken away"


class ModelQuery(BaseModel):
    """Which version draws."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    model: ModelName | None = Field(
        None, description="a served model; by default the server's", examples=["fashion-mnist"]
    )
    version: VersionNumber | None = Field(
        None, description="its version; by default the highest", examples=[1]
    )


class EditQuery(BaseModel):
    """How images are edited."""

    model_config = ConfigDict(extra="forbid")

    edit: Steps | None = Field(None, description=_EDIT, examples=[["glasses:2", "beard:-1.5"]])

    @property
    def strengths(self) -> dict[str, float]:
        """The strength of every attribute that is named."""
        return edits.parse(self.edit or [])


class EditBody(BaseModel):
    """The same in JSON, where it may be all there is to say."""

    # In JSON a number has no need to come as text, nor a seed as a truth value.
    model_config = ConfigDict(extra="forbid", strict=True)

    edit: dict[str, Strength] = Field(
        # The first example is what the page of documentation sends, to whichever model.
        {},
        max_length=edits.MAX_ATTRIBUTES,
        description=_EDIT,
        examples=[{}, {"glasses": 2, "beard": -1.5}],
    )

    _integers = field_validator("*", mode="before")(whole)


class LookQuery(BaseModel):
    """How every image looks."""

    model_config = ConfigDict(extra="forbid")

    truncation: Truncation = 1.0
    scale: Scale = 1

    @property
    def look(self) -> Look:
        """The same, as what draws takes it."""
        return Look(self.truncation, self.scale)


class SheetQuery(LookQuery):
    """How images lie on a sheet; what has none is not concerned."""

    padding: int = Field(
        0, ge=0, le=MAX_PADDING, description="black pixels between the images of a sheet"
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


class GenerateBody(EditBody):
    """Of ``POST /generate``, where the query does not say all."""

    seeds: Seeds | None = Field(
        None, description="the images' seeds, in place of `n` and `seed`", examples=[[3, 17, 99]]
    )
    latents: Rows | None = Field(
        None,
        description="the images' latents, in place of seeds: as many numbers each as the model's "
        "card tells, from -100 to 100",
    )


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
    easing: Easing = Field(
        "linear",
        description="whether the frames of a leg lie closer at its beginning, its end, or both",
    )
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
