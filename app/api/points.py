"""Points in latent space, as JSON bodies name them: a seed, or the numbers of a latent."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError

from app.api.numbers import integral
from app.api.parameters import Seed
from app.errors import invalid, parameter_error
from app.latent.sampling import MAX_LATENT, SEEDS, Point, Points
from app.middleware.endpoint_traits import EndpointTraits, QueueInQuery
from app.registry.generator import Generator

MAX_ROWS, MAX_NUMBERS = 256, 256 * 4096
"""The most latents in a body, and the numbers in them together."""
TRAITS = EndpointTraits(latents=MAX_ROWS, pays="first", queue=QueueInQuery())
"""Of endpoints that draw from points, which the query or the body has."""
_Number = Annotated[float, Field(ge=-MAX_LATENT, le=MAX_LATENT, allow_inf_nan=False)]
LatentRow = Annotated[
    list[_Number], Field(min_length=1, max_length=MAX_NUMBERS // MAX_ROWS, fail_fast=True)
]
_ROW: TypeAdapter[list[float]] = TypeAdapter(LatentRow)


def _point(received: object) -> Point:
    number = integral(received)
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < SEEDS:
        return number
    if isinstance(received, list):
        try:
            return _ROW.validate_python(received, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = f"number {first['loc'][0]}: " if first["loc"] else ""
            raise ValueError(f"{place}{first['msg']}") from error
    raise ValueError("it is neither")


PointBody = Annotated[Point, PlainValidator(_point, json_schema_input_type=Seed | LatentRow)]
"""A seed or a latent."""


def check_width(generator: Generator, given: Mapping[str, Point]) -> None:
    """Raise ParameterError for latents in a body, by their names, of another width."""
    width = generator.card.latent.width
    allowed = f"a list of {width} numbers for {generator.key}"
    for name, point in given.items():
        if not isinstance(point, int) and len(point) != width:
            raise parameter_error(invalid(name, "body", point, allowed))


def named(name: str, points: Points) -> dict[str, Point]:
    """``points`` by their names in a list of this name."""
    return {f"{name}.{k}": point for k, point in enumerate(points)}


def first_seed(points: Points) -> int | None:
    """The first point that is a seed."""
    return next((point for point in points if isinstance(point, int)), None)
