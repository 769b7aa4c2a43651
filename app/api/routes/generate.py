"""``POST /generate``: many images at once."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import Field

from app.api import direct_route, generated, merging, openapi, responses
from app.api.bodies import EditBody, LatentRows
from app.api.drawing import DRAWING_ERRORS, Drawing, RouteContext, require_absent
from app.api.endpoints import Access, Endpoints
from app.api.formats import GENERATED, SeedFormat
from app.api.parameters import (
    FORMAT,
    RANDOM_SEED,
    URLS,
    ClassesQuery,
    ColumnsQuery,
    Count,
    EditQuery,
    ModelQuery,
    Seeds,
    StartSeed,
    start,
)
from app.api.points import check_width, named
from app.api.responses import Shown
from app.api.schemas import Generated
from app.errors import BodyTooLargeError, json_safe
from app.imaging.sheets import Sheet, square_columns
from app.latent.sampling import Points, consecutive
from app.middleware.endpoint_traits import EndpointTraits, QueueInQuery
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion
from app.runtime.arrays import GraphInputs

ENDPOINTS = Endpoints(
    APIRouter(tags=["images"], route_class=direct_route.DirectKeyRoute),
    access=Access.WITH_KEY,
    errors=DRAWING_ERRORS,
    traits=EndpointTraits(latents=None, pays="first", queue=QueueInQuery()),
    is_direct=True,
)
router = ENDPOINTS.router


class GenerateSeeds(ColumnsQuery):
    """The seeds of images, and how these are laid out."""

    format: SeedFormat | None = Field(None, description=f"{FORMAT}, else JSON; {URLS}")
    n: Count = Field(16, description="number of images", examples=[4])
    seed: StartSeed | None = Field(None, description=f"the first image's seed; {RANDOM_SEED}")
    seeds: Seeds | None = Field(
        None, description="one seed per image, instead of `n` and `seed`", examples=[[3, 17, 99]]
    )


@dataclass(slots=True)
class _Plan:
    """How one version generates the images of requests with equal parameters, but for seeds.

    It does not refer to the version, so that it does not keep a retired one in memory.
    """

    options: DrawOptions
    sheet: Sheet
    sheet_pixels: int


class GenerateQuery(GenerateSeeds, ClassesQuery, EditQuery, ModelQuery):
    """Query of ``POST /generate``."""


class GenerateBody(GenerateSeeds, EditBody, ModelQuery):
    """The parameters of ``POST /generate`` in JSON."""

    example: ClassVar[dict[str, Any]] = {"n": 4, "seed": 42}

    latents: LatentRows | None = Field(
        None,
        description="one latent per image, instead of seeds; each has as many numbers from -100 "
        "to 100 as the model's card says",
    )

    @cached_property
    def plans(self) -> WeakKeyDictionary[ModelVersion, _Plan]:
        """The plans for the versions that have been requested; equal requests share them."""
        return WeakKeyDictionary()


@dataclass(slots=True)
class _Source:
    """What images are generated from: seeds, or latents that the request gives."""

    seeds: list[int]
    latents: list[list[float]]
    parameters: dict[str, object]
    """The parameters that determine the number of images."""
    mixed: bool = True
    """Whether the images are not those of consecutive seeds."""

    @property
    def count(self) -> int:
        """The number of images."""
        return len(self.seeds) or len(self.latents)

    @property
    def points(self) -> Points:
        """The seed or the latent of each image."""
        return self.seeds or self.latents

    @property
    def first(self) -> int | None:
        """The first seed, if any."""
        return self.seeds[0] if self.seeds else None

    def rows(self, version: ModelVersion, options: DrawOptions) -> GraphInputs:
        """The inputs of the graph. Raises ParameterError for a latent of another width."""
        if self.seeds:
            return version.rows_to_queue(self.seeds, options)
        conditions = version.typical_conditions(self.count, options)
        check_width(version, named("latents", self.latents))
        return version.rows(np.array(self.latents, dtype=np.float32), conditions, options)


@router.post(
    "/generate",
    response_model=Generated,
    responses={
        **openapi.formats(GENERATED, "The images: JSON, one sheet, or a ZIP of PNG files"),
        **openapi.problems(BodyTooLargeError),
    },
    openapi_extra=direct_route.description(GenerateQuery, GenerateBody),
)
async def generate(request: Request) -> Response:
    """Generate `n` images from consecutive seeds, starting at `seed` (random if omitted or -1).

    The parameters are in the query or in the JSON body, such as `{"n": 4, "seed": 42}`; the same
    name in both is an error. `seeds` replaces `n` and `seed`; so do `latents` in the body, which
    are used as they are.
    `format`, or else `Accept`, selects the format: `json` (the default) has every image as base64
    with its seed and URL, or with its latent; `urls` has the URLs alone; `png` and `webp` are the
    image itself, or a sheet of several; `zip` has one file per image, `<seed>.png`, or `000.png`,
    `001.png`, … for latents and for seeds with several classes. The header `X-Seed` has the first
    seed, if any.

    `edit` adds or removes attributes of every image; `GET /models` lists the attributes of each
    model. `class` and `attributes` name the classes of a conditional model, one for each image and
    repeated in turn, or its attributes.
    """
    return await merging.answer(request, GenerateQuery, GenerateBody, _images)


async def _images(route: RouteContext, given: GenerateBody) -> Response:
    """The images that are requested."""
    form, source = GENERATED.chosen(given.format, route.accept), _source(given)
    route.check_count(source.count, **source.parameters)
    version = route.find(given.model, given.version)
    plan = given.plans.get(version)
    if plan is None:
        plan = given.plans[version] = _plan(route, version, given, source)
    options, sheet = plan.options, plan.sheet
    drawing = Drawing(route.request, route.services, version, options, plan.sheet_pixels)
    if form == "urls":
        return generated.urls(drawing, source.points)
    drawn = await drawing.draw(source.rows(version, options), on_sheet=form in responses.SHEETS)
    shown = Shown(source.first, source.seeds, consecutive=not source.mixed)
    body = partial(generated.body, drawn, source.points, route.request)
    return await responses.images(form, drawn, sheet, shown, body)


def _plan(
    route: RouteContext, version: ModelVersion, given: GenerateBody, source: _Source
) -> _Plan:
    """The plan of a request. Raises ParameterError for what the version cannot do."""
    choice = version.choice(given.mixtures, given.amounts, source.count)
    options = given.options(version.edit(given.strengths), choice)
    sheet = given.sheet(given.columns or square_columns(source.count))
    requested = {**source.parameters, **given.size_parameters}
    drawing = route.drawing(version, options, sheet, source.count, **requested)
    return _Plan(options, sheet, drawing.sheet_pixels)


def _source(given: GenerateBody) -> _Source:
    """What to generate from. Raises ParameterError if the parameters contradict each other."""
    if given.latents is not None:
        _require_defaults("latents", given, "n", "seed", "seeds", "truncation")
        return _Source([], given.latents, {"latents": json_safe(given.latents)})
    if given.seeds is not None:
        _require_defaults("seeds", given, "n", "seed")
        mixed = given.seeds != consecutive(given.seeds[0], len(given.seeds))
        return _Source(given.seeds, [], {"seeds": json_safe(given.seeds)}, mixed=mixed)
    return _Source(consecutive(start(given.seed), given.n), [], {"n": given.n}, mixed=False)


def _require_defaults(name: str, given: GenerateBody, *others: str) -> None:
    """Raise ParameterError for those of ``others`` that contradict ``name``.

    Their defaults are accepted: clients that earlier OpenAPI documents generate send them.
    """
    defaults = GenerateBody.model_fields
    values = {one: getattr(given, one) for one in others}
    require_absent(name, {k: v for k, v in values.items() if v != defaults[k].default})
