"""The parameters of requests, with their types and bounds. Unknown parameters are refused."""

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
from app.api.formats import PathFormat, SeedFormat, SheetFormat
from app.api.numbers import decimal, plain
from app.api.query_lists import split
from app.api.schema_words import FORM, LIKE
from app.artifact.card import ModelName, VersionNumber
from app.imaging.sheets import MAX_PADDING, MAX_SCALE, Sheet
from app.imaging.uploads import Invert
from app.latent import choices, edits
from app.latent.choices import NO_CHOICE, Amounts, Choice, Mixture
from app.latent.edits import NO_EDIT, Edit
from app.latent.interpolation import Easing
from app.latent.refinement import MAX_STEPS
from app.latent.sampling import MAX_TRUNCATION, SEEDS, Method, random_seed
from app.registry.draw_options import DrawOptions

MOST_ERRORS = 16
"""A request may have any number of unknown parameters; a longer list of errors helps nobody."""


RANDOM = -1
"""In place of the first seed of a request: a random one."""


_ODD_SQUARES = [side**2 for side in range(1, 16, 2)]


def _odd_square(count: int) -> int:
    if count not in _ODD_SQUARES:
        raise ValueError("only a square sheet with an odd side has a centre")
    return count


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
Corners = Annotated[
    list[Seed], Field(min_length=4, max_length=4, fail_fast=True), BeforeValidator(split)
]
Stops = Annotated[
    list[Seed], Field(min_length=2, max_length=16, fail_fast=True), BeforeValidator(split)
]
Radius = Annotated[
    float,
    Field(ge=0, le=2, allow_inf_nan=False, description="largest size of the noise"),
    BeforeValidator(plain),
]
FileFormat = Literal["png", "webp"]
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
OddSquare = Annotated[
    int,  # not a Literal, which would accept true for 1
    AfterValidator(_odd_square),
    Field(json_schema_extra={"enum": [*_ODD_SQUARES]}),
    BeforeValidator(decimal),
]
Padding = Annotated[int, Field(ge=0, le=MAX_PADDING), BeforeValidator(decimal)]
Refine = Annotated[int, Field(ge=0, le=MAX_STEPS), BeforeValidator(decimal)]
Steps = Annotated[int, Field(ge=2, le=256), BeforeValidator(decimal)]
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
_FORMAT = "format of the response, which has precedence over `Accept`; default: by `Accept`"
_URLS = "`urls` is JSON with the URL of each image in place of its file"
_RANDOM_SEED = "random if omitted or -1"
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


class ImagePath(BaseModel):
    """Path of ``/images/…``."""

    model: ModelName = Field(description="a served model", examples=["fashion-mnist"])
    version: Version = Field(
        description="its version; `latest` is the default version of the model at that time",
        examples=[3],
    )
    seed: Seed = Field(description="the image's seed")
    form: FileFormat = Field(description="file format; the pixels are the same")


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


class GenerateSeeds(ColumnsQuery):
    """The seeds of images, and how these are laid out."""

    format: SeedFormat | None = Field(None, description=f"{_FORMAT}, else JSON; {_URLS}")
    n: Count = Field(16, description="number of images", examples=[4])
    seed: StartSeed | None = Field(None, description=f"the first image's seed; {_RANDOM_SEED}")
    seeds: Seeds | None = Field(
        None, description="one seed per image, instead of `n` and `seed`", examples=[[3, 17, 99]]
    )


class GenerateQuery(GenerateSeeds, ClassesQuery, EditQuery, ModelQuery):
    """Query of ``POST /generate``."""


class EncodeQuery(ClassesQuery, ModelQuery):
    """Query of ``POST /encode``."""

    format: SheetFormat | None = Field(None, description=f"{_FORMAT}, else JSON")
    invert: Invert = Field(
        "auto",
        description="whether the colours are inverted before the image is encoded; `auto` inverts "
        "dark drawings on light paper for models of grey images on black",
    )
    refine: Refine = Field(
        0,
        description="steps that bring the latent nearer to the image; they end early where further "
        "ones would gain nothing",
    )


class PathQuery(Parameters):
    """A path, and the format of its frames."""

    steps: Steps = Field(8, description="frames from one seed to the next, including both")
    method: Method = Field(
        "slerp", description="spherical (`slerp`) or linear (`lerp`) interpolation"
    )
    loop: bool = Field(
        False,
        description="close the path to the first seed; an animation then repeats permanently "
        "instead of playing once",
    )
    easing: Easing = Field(
        "linear",
        description="whether the frames of each segment are closer together at its start, its end, "
        "or both",
    )
    format: PathFormat | None = Field(
        None, description=f"{_FORMAT}, else a strip as PNG; `webp` is an animation"
    )
    fps: FramesPerSecond = Field(12, description="frames per second of an animation")


class PathSeeds(PathQuery, ColumnsQuery):
    """A path through seeds."""

    start: Seed | None = Field(
        None,
        alias="from",
        description="seed of the first frame; not with `seeds`",
        json_schema_extra={"example": 3},
    )
    end: Seed | None = Field(
        None,
        alias="to",
        description="seed of the last frame; not with `seeds`",
        json_schema_extra={"example": 17},
    )
    seeds: Stops | None = Field(
        None,
        description="the 2 to 16 seeds of a path, instead of `from` and `to`",
        examples=[[3, 17, 99]],
    )
    from_class: ClassText | None = Field(
        None, description="class of the first frame; not with `class` or `seeds`"
    )
    to_class: ClassText | None = Field(
        None, description="class of the last frame; not with `class` or `seeds`"
    )


class InterpolateQuery(PathSeeds, ClassesQuery, EditQuery, ModelQuery):
    """Query of ``/interpolate``."""


class GridSeeds(SheetQuery):
    """Rows and columns of seeds."""

    format: SeedFormat | None = Field(None, description=f"{_FORMAT}, else PNG; {_URLS}")
    rows: Count | Literal["classes", "attributes"] | None = Field(
        None,
        description="rows; rows × cols is at most 256; default: 4, or as many as `seeds` need; "
        "`classes` or `attributes`: one row for each, in which every image has it, and one column "
        "for each seed",
    )
    cols: Count | None = Field(None, description="columns; default: 4")
    seed: StartSeed | None = Field(
        None, description=f"the first image's seed; {_RANDOM_SEED}; not with `corners` or `seeds`"
    )
    seeds: Seeds | None = Field(
        None,
        description="one seed per image, row by row, instead of `seed`",
        examples=[[3, 17, 99]],
    )


class GridQuery(GridSeeds, ClassesQuery, EditQuery, ModelQuery):
    """Query of ``/grid``."""

    corners: Corners | None = Field(
        None,
        description="four seeds: top left, top right, bottom left, bottom right",
        examples=[[1, 2, 3, 4]],
    )


class NeighbourhoodQuery(SheetQuery):
    """A sheet of neighbours."""

    format: SheetFormat | None = Field(None, description=f"{_FORMAT}, else PNG")
    radius: Radius = 0.25
    rows: Count = Field(3, description="rows; rows × cols is at most 256")
    cols: Count = Field(3, description="columns")
    seed: StartSeed | None = Field(None, description=f"seed of the centre image; {_RANDOM_SEED}")


class VariationsQuery(NeighbourhoodQuery, ClassesQuery, EditQuery, ModelQuery):
    """Query of ``/variations``."""


class SumQuery(SheetQuery):
    """A square sheet around a sum."""

    format: SheetFormat | None = Field(None, description=f"{_FORMAT}, else PNG")
    neighbours: OddSquare = Field(
        9, description="images on a square sheet, including the result in its centre"
    )
    radius: Radius = 0.25


class ArithmeticQuery(SumQuery, ClassesQuery, EditQuery, ModelQuery):
    """Query of ``POST /arithmetic``."""
