"""``POST /generate``: many images at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from fastapi import APIRouter, Request, Response

from app.api import direct_route, openapi, responses
from app.api.bodies import GenerateBody
from app.api.content_negotiation import JSON, PNG, ZIP, choose
from app.api.drawing import RouteContext, require_absent, route_context
from app.api.drawn import Drawn
from app.api.merging import located, merged, query_without_defaults
from app.api.parameters import ColumnsQuery, GenerateQuery, ModelQuery, start
from app.api.points import check_width, named
from app.api.routes.images import url
from app.api.schemas import Generated, GeneratedFromLatents, GeneratedImage, LatentImage
from app.errors import BodyTooLargeError, invalid, json_safe, parameter_error
from app.imaging.sheets import square_columns
from app.latent.choices import Choice
from app.latent.sampling import Latents, consecutive
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion
from app.runtime.arrays import GraphInputs

router = APIRouter(tags=["images"], route_class=direct_route.DirectKeyRoute)

_OFFERED = (JSON, PNG, ZIP)
_EMPTY_BODY = GenerateBody()
_EITHER = frozenset({"n", "seed", *ColumnsQuery.model_fields, *ModelQuery.model_fields})
"""The parameters that the query or the body may have, in the same form."""
_DESCRIPTION = direct_route.description(GenerateQuery, GenerateBody)
query_without_defaults(_DESCRIPTION["parameters"])
_DESCRIPTION["requestBody"]["content"][JSON]["example"] = {"n": 4, "seed": 42}


@dataclass(slots=True)
class _Source:
    """What images are generated from: seeds, or latents that the request gives."""

    seeds: list[int]
    latents: list[list[float]]
    parameters: dict[str, object]
    """The parameters that determine the number of images."""
    place: str = "body"
    mixed: bool = True
    """Whether the images are not those of consecutive seeds."""

    @property
    def count(self) -> int:
        """The number of images."""
        return len(self.seeds) or len(self.latents)

    @property
    def first(self) -> int | None:
        """The first seed, if any."""
        return self.seeds[0] if self.seeds else None

    def rows(self, version: ModelVersion, options: DrawOptions) -> GraphInputs:
        """The inputs of the graph. Raises ParameterError for a latent of another width."""
        if self.seeds:
            return version.rows_to_queue(self.seeds, options)
        conditions = version.typical_conditions(self.count, options)
        return version.rows(self.given_latents(version), conditions, options)

    def given_latents(self, version: ModelVersion) -> Latents:
        """The request's latents ``(n, width)``. Raises ParameterError for one of another width."""
        check_width(version, named("latents", self.latents))
        return np.array(self.latents, dtype=np.float32)


@router.post(
    "/generate",
    response_model=Generated | GeneratedFromLatents,
    responses={
        **openapi.images(_OFFERED, "The images: JSON, one PNG, or a ZIP of PNGs"),
        **openapi.problems(BodyTooLargeError),
    },
    openapi_extra=_DESCRIPTION,
)
async def generate(request: Request) -> Response:
    """Generate `n` images from consecutive seeds, starting at `seed` (random if omitted or -1).

    The parameters are in the query or in the JSON body, such as `{"n": 4, "seed": 42}`; the same
    name in both is an error. The body may give `seeds` instead of `n` and `seed`, or `latents`,
    which are used as they are.
    `Accept: application/json` (the default) returns every image as base64 with its seed and URL, or
    with its latent; `image/png` returns the image itself, or a sheet of several; `application/zip`
    has one file per image, `<seed>.png`, or `000.png`, `001.png`, … for latents. The header
    `X-Seed` has the first seed, if any. `edit` in the body adds or removes attributes of every
    image; `GET /models` lists the attributes of each model.

    `class` and `attributes`, in the query or in the body, name the classes of a conditional model,
    one for each image and repeated in turn, or its attributes.
    """
    route = route_context(request)
    query = direct_route.parse_query(request, GenerateQuery)
    body = await direct_route.parse_body(request, GenerateBody)
    media_type = choose(route.accept, _OFFERED)
    if body is None:
        return await _images(route, query, _EMPTY_BODY, media_type)
    query = merged(query, body, _EITHER)
    with located(body, _EITHER):
        return await _images(route, query, body, media_type)


async def _images(
    route: RouteContext, query: GenerateQuery, body: GenerateBody, media_type: str
) -> Response:
    """The response to ``query``, which has the parameters that the body has in the same form."""
    source = _source(query, body)
    count = source.count
    route.check_count(count, source.place, **source.parameters)
    version = route.find(query.model, query.version)
    choice = _choice(query, body, version, count)
    options = query.options(version.edit(body.edit, "body"), choice)
    sheet = query.sheet(query.columns or square_columns(count))
    requested = {**source.parameters, **query.size_parameters}
    drawing = route.drawing(version, options, sheet, count, **requested)
    drawn = await drawing.draw(source.rows(version, options), media_type)
    if media_type == PNG:
        return await responses.png(sheet, drawn, source.first, mixed=source.mixed)
    return await _each(media_type, drawn, source, route.request.root_path)


def _source(query: GenerateQuery, body: GenerateBody) -> _Source:
    """What to generate from. Raises ParameterError if the parameters contradict each other."""
    if body.latents is not None:
        _require_defaults("latents", query, "n", "seed", "truncation")
        require_absent("latents", {"seeds": body.seeds}, "body")
        return _Source([], body.latents, {"latents": json_safe(body.latents)})
    if body.seeds is not None:
        _require_defaults("seeds", query, "n", "seed")
        mixed = body.seeds != consecutive(body.seeds[0], len(body.seeds))
        return _Source(body.seeds, [], {"seeds": json_safe(body.seeds)}, mixed=mixed)
    return _Source(
        consecutive(start(query.seed), query.n), [], {"n": query.n}, "query", mixed=False
    )


def _choice(query: GenerateQuery, body: GenerateBody, version: ModelVersion, images: int) -> Choice:
    """The classes or attributes that the query or the body names.

    Raises ParameterError if both name some, or if the version does not have them.
    """
    if not (body.mixtures or body.amounts):
        return version.choice(query.mixtures, query.amounts, images)
    allowed = "left out where the body has class or attributes"
    given = {"class": query.classes, "attributes": query.attributes}
    twice = [
        invalid(name, "query", ",".join(texts), allowed) for name, texts in given.items() if texts
    ]
    if twice:
        raise parameter_error(*twice)
    return version.choice(body.mixtures, body.amounts, images, "body")


def _require_defaults(name: str, query: GenerateQuery, *others: str) -> None:
    """Raise ParameterError for those of ``others`` that contradict ``name``.

    Their defaults are accepted: clients that earlier OpenAPI documents generate send them.
    """
    defaults = GenerateQuery.model_fields
    given = {one: getattr(query, one) for one in others}
    require_absent(name, {k: v for k, v in given.items() if v != defaults[k].default})


async def _each(media_type: str, drawn: Drawn, source: _Source, root_path: str) -> Response:
    """Every image as a file of its own, in a ZIP or in JSON."""
    files = await responses.pngs(drawn, source.seeds)
    if media_type == ZIP:
        by_seed = {f"{seed}.png": file for seed, file in zip(source.seeds, files, strict=False)}
        named = by_seed or responses.numbered(files)
        return await responses.archive(named, drawn, source.first)
    body = partial(_json_body, drawn, source, files, root_path)
    return await responses.json(body, files, drawn, source.first)


def _json_body(
    drawn: Drawn, source: _Source, files: Sequence[bytes], root_path: str
) -> Generated | GeneratedFromLatents:
    """The body of the JSON response."""
    pngs = list(map(responses.base64_text, files))
    version, options = drawn.version, drawn.options
    name, number = version.card.name, version.card.version
    if source.seeds:
        of_seeds = [
            GeneratedImage(
                seed=seed,
                url=url(version, options.of_image(k), seed, root_path=root_path),
                png=png,
                **drawn.condition(k),
            )
            for k, (seed, png) in enumerate(zip(source.seeds, pngs, strict=True))
        ]
        return Generated(model=name, version=number, images=of_seeds)
    rows = source.given_latents(version).tolist()
    of_rows = [
        LatentImage(latent=row, png=png, **drawn.condition(k))
        for k, (row, png) in enumerate(zip(rows, pngs, strict=True))
    ]
    return GeneratedFromLatents(model=name, version=number, images=of_rows)
