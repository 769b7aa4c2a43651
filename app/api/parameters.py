"""Parameters that several endpoints have, with their types and bounds; unknown ones are refused."""

from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from app.api.condition_types import AttributeTexts, ClassText, ClassTexts
from app.api.numbers import decimal, plain
from app.api.query_lists import split
from app.api.schema_words import FORM, LIKE
from app.artifact.card import ModelName, VersionNumber
from app.imaging.sheets import MAX_PADDING, MAX_SCALE, Sheet
from app.latent import choices, edits
from app.latent.choices import NO_CHOICE, Amounts, Choice, Mixture
from app.latent.edits import NO_EDIT, Edit
from app.latent.sampling import MAX_TRUNCATION, SEEDS, random_seed
from app.registry.draw_options import DrawOptions

MOST_ERRORS = 16
"""A request may have any number of unknown parameters; a longer list of errors helps nobody."""
RANDOM = -1
"""In place of the first seed of a request: a random one."""


def _each_once(steps: list[str]) -> list[str]:
    edits.parse(steps)
    return steps


Seed = Annotated[int, Field(ge=0, le=SEEDS - 1, examples=[42]), BeforeValidator(decimal)]
StartSeed = Annotated[int, Field(ge=RANDOM, le=SEEDS - 1, examples=[42]), BeforeValidator(decimal)]
Version = Annotated[VersionNumber, BeforeValidator(decimal)] | Literal["latest"]
"""``latest`` is the model's default version at the time of the request."""
Count = Annotated[int, Field(ge=1, le=256), BeforeValidator(decimal)]
Seeds = Annotated[
    list[Seed], Field(min_length=1, max_length=256, fail_fast=True), BeforeValidator(split)
]
Radius = Annotated[
    float,
    Field(ge=0, le=2, allow_inf_nan=False, description="largest size of the noise"),
    BeforeValidator(plain),
]
Truncation = Annotated[
    float,
    Field(
        gt=0,
        le=MAX_TRUNCATION,
        allow_inf_nan=False,
        description="factor of the latents of seeds: below 1 images are closer to the average, "
        "above it more unusual",
        examples=[0.7],
    ),
    BeforeValidator(plain),
]
Scale = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_SCALE,
        description="integer upscaling factor (nearest neighbour): 4 turns 64×64 into 256×256",
    ),
    BeforeValidator(decimal),
]
Padding = Annotated[int, Field(ge=0, le=MAX_PADDING), BeforeValidator(decimal)]
FramesPerSecond = Annotated[float, Field(ge=1, le=50, allow_inf_nan=False), BeforeValidator(plain)]
EditSteps = Annotated[
    list[
        Annotated[
            str,
            Field(
                pattern=edits.STEP_PATTERN,
                json_schema_extra={
                    FORM: "name:strength with a strength from -5 to 5",
                    LIKE: "glasses:2",
                },
            ),
        ]
    ],
    Field(min_length=1, max_length=edits.MAX_ATTRIBUTES, fail_fast=True),
    BeforeValidator(split),
    AfterValidator(_each_once),
]
FORMAT = "format of the response, which has precedence over `Accept`; default: by `Accept`"
URLS = "`urls` is JSON with the URL of each image in place of its file"
RANDOM_SEED = "random if omitted or -1"
EDIT = (
    "attributes to add, or numbered directions to follow, with strengths from -5 to 5; a negative "
    "strength removes an attribute"
)
ATTRIBUTES = (
    "attributes of the images of a model that is conditional on them, from 0 (absent) to 1 "
    "(present); those that are not named follow the seed"
)
MIXTURE = (
    "each may be a name (case-insensitive), an index, or a mixture such as `sneaker:0.7+bag:0.3`; "
    "default: the class of the seed"
)


def start(seed: int | None) -> int:
    """The first seed of a request that names ``seed``: a random one for None or RANDOM."""
    return random_seed() if seed is None or seed == RANDOM else seed


class Parameters(BaseModel):
    """Parameters of a request; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")
    in_json: ClassVar[Mapping[str, str]] = {
        "edit": "strengths",
        "attributes": "amounts",
        "classes": "mixtures",
    }
    """The fields whose text in a query is parsed into another type: what has it in that type."""

    @model_validator(mode="before")
    @classmethod
    def _few_unknown(cls, received: object) -> object:
        """``received`` with no more unknown parameters than an error names.

        An error for each of many thousands would take seconds.
        """
        if not isinstance(received, dict) or len(received) <= MOST_ERRORS:
            return received
        fields = cls.model_fields.items()
        known = {name for field, info in fields for name in (field, info.alias)}
        unknown = list(islice((name for name in received if name not in known), MOST_ERRORS))
        return {name: received[name] for name in (*(known & received.keys()), *unknown)}


class ModelQuery(Parameters):
    """Which version generates the images."""

    model_config = ConfigDict(populate_by_name=True)

    model: ModelName | None = Field(
        None, description="a served model; default: the server's", examples=["fashion-mnist"]
    )
    version: Version | None = Field(
        None, description="its version; `latest` or default: the default version of the model"
    )


class EditQuery(Parameters):
    """How images are edited, and which attributes they have."""

    edit: EditSteps | None = Field(None, description=f"{EDIT}, such as `glasses:2,beard:-1.5`")

    @cached_property
    def strengths(self) -> dict[str, float]:
        """The strength of every attribute in ``edit``."""
        return edits.parse(self.edit or [])


class AttributesQuery(Parameters):
    """Which attributes images have."""

    attributes: AttributeTexts | None = Field(
        None, description=f"{ATTRIBUTES}; such as `glasses,-beard`"
    )

    @cached_property
    def amounts(self) -> Amounts:
        """The value of every attribute in ``attributes``."""
        return choices.parse_attributes(self.attributes or [])


class ClassesQuery(AttributesQuery):
    """Which classes or attributes images have."""

    classes: ClassTexts | None = Field(
        None,
        alias="class",
        description=f"classes, one for each seed or image, repeated in turn; {MIXTURE}",
        examples=[["sneaker", "bag"]],
    )

    @cached_property
    def mixtures(self) -> list[Mixture]:
        """The classes."""
        return [choices.parse_mixture(text) for text in self.classes or []]


class AppearanceQuery(Parameters):
    """Truncation and scale of every image."""

    truncation: Truncation = 1.0
    scale: Scale = 1

    def options(self, edit: Edit, choice: Choice) -> DrawOptions:
        """These options, ``edit`` and ``choice``."""
        if edit is NO_EDIT and choice is NO_CHOICE:
            return self._plain_options
        return DrawOptions(edit, self.truncation, self.scale, choice)

    @cached_property
    def _plain_options(self) -> DrawOptions:
        """The options of most requests, the same object for equal ones."""
        return DrawOptions(truncation=self.truncation, scale=self.scale)


class SheetQuery(AppearanceQuery):
    """How images are laid out on a sheet; ignored by formats without one."""

    padding: Padding = Field(0, description="black pixels between the images of a sheet")

    def sheet(self, columns: int) -> Sheet:
        """The sheet with this many columns."""
        return Sheet(columns, self.padding)

    @cached_property
    def size_parameters(self) -> dict[str, object]:
        """The parameters in the request that determine the sheet's size."""
        names = ("scale", "padding", "columns")
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}


class ColumnsQuery(SheetQuery):
    """How images are laid out if the request does not give the rows."""

    columns: Count | None = Field(None, description="images in a row of a sheet")


class ClassQuery(AttributesQuery):
    """Which class or attributes an image has."""

    class_: ClassText | None = Field(
        None, alias="class", description=f"class of the image; it {MIXTURE.removeprefix('each ')}"
    )

    @cached_property
    def mixtures(self) -> list[Mixture]:
        """The class, if there is one."""
        return [] if self.class_ is None else [choices.parse_mixture(self.class_)]


class ImageQuery(AppearanceQuery, ClassQuery, EditQuery):
    """Query of ``GET /images/…``."""
