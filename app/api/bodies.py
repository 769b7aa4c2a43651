"""Parameters that several endpoints have in JSON bodies, with their types and bounds."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from app.api.condition_types import Amount, BodyClasses
from app.api.json_body import JsonBody
from app.api.numbers import integral
from app.api.parameters import ATTRIBUTES, EDIT, MIXTURE, Parameters
from app.api.points import MAX_ROWS, LatentRow
from app.latent import choices, edits
from app.latent.choices import Amounts, Mixture

LatentRows = Annotated[list[LatentRow], Field(min_length=1, max_length=MAX_ROWS, fail_fast=True)]
Strength = Annotated[
    float, Field(ge=-edits.MAX_STRENGTH, le=edits.MAX_STRENGTH, allow_inf_nan=False)
]


class EditBody(JsonBody, Parameters):
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
    classes: BodyClasses | None = Field(
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

    _lower_case = field_validator("attributes")(choices.checked_amounts)

    @property
    def strengths(self) -> dict[str, float]:
        """The strength of every attribute in ``edit``."""
        return self.edit

    @property
    def amounts(self) -> Amounts:
        """The value of every attribute in ``attributes``."""
        return self.attributes

    @property
    def mixtures(self) -> list[Mixture]:
        """The classes."""
        return self.classes or []
