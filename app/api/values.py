"""What one parameter of a request may be."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from app.imaging.sheets import MAX_SCALE
from app.latent import edits
from app.latent.sampling import MAX_TRUNCATION, SEEDS


def whole(number: object) -> object:
    """In JSON 3.0 is an integer as good as 3 (JSON Schema 2020-12, Validation, section 6.1.1)."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Seed = Annotated[int, Field(ge=0, le=SEEDS - 1, examples=[42]), BeforeValidator(whole)]
Radius = Annotated[
    float, Field(ge=0, le=2, allow_inf_nan=False, description="how far the noise reaches")
]
Format = Literal["png", "gif", "webp", "apng", "json", "ndjson", "zip"]
Truncation = Annotated[
    float,
    Field(
        gt=0,
        le=MAX_TRUNCATION,
        allow_inf_nan=False,
        description="what the latents of seeds are multiplied by: below 1 images are more typical, "
        "above it more unusual",
        examples=[0.7],
    ),
]

Scale = Annotated[
    int, Field(ge=1, le=MAX_SCALE, description="every pixel is so many wide and high")
]


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
Seeds = Annotated[list[Seed], Field(min_length=1, max_length=256, fail_fast=True)]
FARTHEST = 100
"""Many times what any seed draws; a generator turns white, black or grey long before."""
_Number = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST, allow_inf_nan=False)]
_Row = Annotated[list[_Number], Field(min_length=1, max_length=4096, fail_fast=True)]
Rows = Annotated[list[_Row], Field(min_length=1, max_length=256, fail_fast=True)]
Group = Annotated[list[Seed], Field(min_length=1, max_length=16)]
Corners = Annotated[list[Seed], BeforeValidator(_split), Field(min_length=4, max_length=4)]
Stops = Annotated[list[Seed], BeforeValidator(_split), Field(min_length=2, max_length=16)]


def _each_once(steps: list[str]) -> list[str]:
    edits.parse(steps)
    return steps


Strength = Annotated[
    float, Field(ge=-edits.MAX_STRENGTH, le=edits.MAX_STRENGTH, allow_inf_nan=False)
]
Steps = Annotated[
    list[Annotated[str, Field(pattern=edits.STEP_PATTERN, examples=["glasses:2"])]],
    BeforeValidator(_split),
    AfterValidator(_each_once),
    Field(min_length=1, max_length=edits.MAX_ATTRIBUTES),
]
