"""The parameters of requests in JSON bodies, with their types and bounds."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from app.api.condition_types import Amount, BodyClasses
from app.api.numbers import integral
from app.api.parameters import (
    ATTRIBUTES,
    EDIT,
    MIXTURE,
    GenerateSeeds,
    GridSeeds,
    ModelQuery,
    NeighbourhoodQuery,
    Parameters,
    PathSeeds,
    SumQuery,
)
from app.api.points import MAX_ROWS, LatentRow, PointBody
from app.latent import choices, edits
from app.latent.choices import Amounts, Mixture

Group = Annotated[list[PointBody], Field(min_length=1, max_length=16)]
LatentRows = Annotated[list[LatentRow], Field(min_length=1, max_length=MAX_ROWS, fail_fast=True)]
Stops = Annotated[list[PointBody], Field(min_length=2, max_length=16, fail_fast=True)]
Corners = Annotated[list[PointBody], Field(min_length=4, max_length=4, fail_fast=True)]
Images = Annotated[list[PointBody], Field(min_length=1, max_length=256, fail_fast=True)]
Strength = Annotated[
    float, Field(ge=-edits.MAX_STRENGTH, le=edits.MAX_STRENGTH, allow_inf_nan=False)
]


class EditBody(Parameters):
    """How images are edited, and which classes or attributes they have, in JSON."""

    # Strict: JSON distinguishes types, so neither a string nor true is accepted as a number.
    model_config = ConfigDict(strict=True)
    in_json: ClassVar[Mapping[str, str]] = {}
    example: ClassVar[dict[str, Any]]
    """A body that succeeds; the documentation page sends it."""

    edit: dict[str, Strength] = Field(
        {},
        max_length=edits.MAX_ATTRIBUTES,
        description=f'{EDIT}, such as `{{"glasses": 2, "beard": -1.5}}`',
    )
    classes: BodyClasses = Field(
        None,
        alias="class",
        description="classes, one for each image or point, repeated in turn, or the weights of a "
        'mixture, which are scaled to sum to one, such as `{"sneaker": 0.7, "bag": 0.3}`; '
        f"{MIXTURE}",
    )
    attributes: dict[str, Amount] = Field(
        {},
        max_length=choices.MAX_ATTRIBUTES,
        description=f'{ATTRIBUTES}; such as `{{"glasses": 1, "beard": 0}}`',
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


class GenerateBody(GenerateSeeds, EditBody, ModelQuery):
    """The parameters of ``POST /generate`` in JSON."""

    example: ClassVar[dict[str, Any]] = {"n": 4, "seed": 42}

    latents: LatentRows | None = Field(
        None,
        description="one latent per image, instead of seeds; each has as many numbers from -100 "
        "to 100 as the model's card says",
    )


class InterpolateBody(PathSeeds, EditBody, ModelQuery):
    """The parameters of ``/interpolate`` in JSON."""

    example: ClassVar[dict[str, Any]] = {"points": [3, 17], "steps": 8}

    points: Stops | None = Field(
        None,
        description="the points of a path, each a seed or a latent, instead of seeds",
        examples=[[3, 17]],
    )


class GridBody(GridSeeds, EditBody, ModelQuery):
    """The parameters of ``/grid`` in JSON."""

    example: ClassVar[dict[str, Any]] = {"points": [3, 17, 99, 4], "cols": 2}

    points: Images | None = Field(
        None,
        description="the images, row by row, each a seed or a latent, instead of seeds",
        examples=[[3, 17, 99]],
    )
    corners: Corners | None = Field(
        None,
        description="four points: top left, top right, bottom left, bottom right",
        examples=[[1, 2, 3, 4]],
    )


class VariationsBody(NeighbourhoodQuery, EditBody, ModelQuery):
    """The parameters of ``/variations`` in JSON."""

    example: ClassVar[dict[str, Any]] = {"point": 42, "radius": 0.5}

    point: PointBody | None = Field(
        None, description="seed or latent of the centre image, instead of `seed`", examples=[42]
    )


class ArithmeticBody(SumQuery, EditBody, ModelQuery):
    """The parameters of ``POST /arithmetic`` in JSON."""

    example: ClassVar[dict[str, Any]] = {"plus": [[3, 4, 5], [6, 7, 8]], "minus": [[0, 1, 2]]}

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
