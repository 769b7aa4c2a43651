"""The parameters of requests in JSON bodies, with their types and bounds."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from app.api.condition_types import Amount, BodyClasses
from app.api.merging import without_defaults
from app.api.numbers import integral
from app.api.parameters import (
    ATTRIBUTES,
    EDIT,
    MIXTURE,
    ColumnsQuery,
    Count,
    ModelQuery,
    NeighbourhoodQuery,
    Parameters,
    PathQuery,
    Radius,
    Seed,
    SheetQuery,
    StartSeed,
)
from app.api.points import MAX_ROWS, LatentRow, PointBody
from app.latent import choices, edits
from app.latent.choices import Amounts, Mixture

_ODD_SQUARES = [side**2 for side in range(1, 16, 2)]


def _odd_square(count: int) -> int:
    if count not in _ODD_SQUARES:
        raise ValueError("only a square sheet with an odd side has a centre")
    return count


Seeds = Annotated[list[Seed], Field(min_length=1, max_length=256, fail_fast=True)]
Group = Annotated[list[PointBody], Field(min_length=1, max_length=16)]
LatentRows = Annotated[list[LatentRow], Field(min_length=1, max_length=MAX_ROWS, fail_fast=True)]
Stops = Annotated[list[PointBody], Field(min_length=2, max_length=16, fail_fast=True)]
Corners = Annotated[list[PointBody], Field(min_length=4, max_length=4, fail_fast=True)]
Images = Annotated[list[PointBody], Field(min_length=1, max_length=256, fail_fast=True)]
OddSquare = Annotated[
    int,  # not a Literal, which would accept true for 1
    AfterValidator(_odd_square),
    Field(json_schema_extra={"enum": [*_ODD_SQUARES]}),
]
Strength = Annotated[
    float, Field(ge=-edits.MAX_STRENGTH, le=edits.MAX_STRENGTH, allow_inf_nan=False)
]


class EditBody(Parameters):
    """How images are edited, and which classes or attributes they have, in JSON."""

    # Strict: JSON distinguishes types, so neither a string nor true is accepted as a number.
    model_config = ConfigDict(strict=True)
    place = "body"

    edit: dict[str, Strength] = Field(
        # The documentation page sends the first example, which must suit every model.
        {},
        max_length=edits.MAX_ATTRIBUTES,
        description=EDIT,
        examples=[{}, {"glasses": 2, "beard": -1.5}],
    )
    classes: BodyClasses = Field(
        None,
        alias="class",
        description="classes, one for each image or point, repeated in turn, or the weights of a "
        "mixture, "
        f"which are scaled to sum to one; {MIXTURE}",
        examples=[None, {"sneaker": 0.7, "bag": 0.3}],
    )
    attributes: dict[str, Amount] = Field(
        {},
        max_length=choices.MAX_ATTRIBUTES,
        description=ATTRIBUTES,
        examples=[{}, {"glasses": 1, "beard": 0}],
    )

    _integers = field_validator("*", mode="before")(integral)

    @field_validator("edit", "attributes", mode="before")
    @classmethod
    def _few(cls, received: object, info: ValidationInfo) -> object:
        # pydantic would report every wrong value before it counts them.
        most = edits.MAX_ATTRIBUTES if info.field_name == "edit" else choices.MAX_ATTRIBUTES
        if isinstance(received, dict) and len(received) > most:
            raise PydanticKnownError(
                "too_long",
                {"field_type": "Dictionary", "max_length": most, "actual_length": len(received)},
            )
        return received

    @property
    def strengths(self) -> dict[str, float]:
        """The strength of every attribute in ``edit``."""
        return self.edit

    @cached_property
    def amounts(self) -> Amounts:
        """The value of every attribute in ``attributes``."""
        return {name.lower(): amount for name, amount in self.attributes.items()}

    @cached_property
    def mixtures(self) -> list[Mixture]:
        """The classes."""
        return self.classes or []


class GenerateBody(ColumnsQuery, EditBody, ModelQuery):
    """Body of ``POST /generate``."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    n: Count = Field(16, description="number of images", examples=[4])
    seed: StartSeed | None = Field(
        None, description="the first image's seed; random if omitted or -1"
    )
    seeds: Seeds | None = Field(
        None, description="one seed per image, instead of `n` and `seed`", examples=[[3, 17, 99]]
    )
    latents: LatentRows | None = Field(
        None,
        description="one latent per image, instead of seeds; each has as many numbers from -100 "
        "to 100 as the model's card says",
    )


class InterpolateBody(PathQuery, ColumnsQuery, EditBody, ModelQuery):
    """Body of ``POST /interpolate``."""

    points: Stops = Field(
        description="the points of a path, each a seed or a latent", examples=[[3, 17]]
    )


class GridBody(SheetQuery, EditBody, ModelQuery):
    """Body of ``POST /grid``."""

    rows: Count | Literal["classes", "attributes"] | None = Field(
        None,
        description="rows between `corners`, 4 by default; `classes` or `attributes`: one row for "
        "each, in which every image has it, and one column for each of `points`",
    )
    cols: Count | None = Field(None, description="columns; 4 by default")
    points: Images | None = Field(
        None,
        description="the images, row by row, each a seed or a latent; not with `corners`",
        examples=[[3, 17, 99]],
    )
    corners: Corners | None = Field(
        None, description="four points: top left, top right, bottom left, bottom right"
    )


class VariationsBody(NeighbourhoodQuery, EditBody, ModelQuery):
    """Body of ``POST /variations``."""

    point: PointBody = Field(description="seed or latent of the centre image", examples=[42])


class ArithmeticBody(SheetQuery, EditBody, ModelQuery):
    """Body of ``POST /arithmetic``."""

    plus: list[Group] = Field(
        min_length=1,
        max_length=8,
        description="groups of seeds or latents; the mean of each group is added",
        examples=[[[3, 4, 5], [6, 7, 8]]],
    )
    minus: list[Group] = Field(
        [],
        max_length=8,
        description="groups of seeds or latents; the mean of each group is subtracted",
        examples=[[[0, 1, 2]]],
    )
    neighbours: OddSquare = Field(
        9, description="images on a square sheet, including the result in its centre"
    )
    radius: Radius = 0.25
