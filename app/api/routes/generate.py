"""``POST /generate``: many images at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from fastapi import APIRouter, Request, Response

from app.api import direct_route, merging, openapi, responses
from app.api.bodies import GenerateBody
from app.api.content_negotiation import JSON, PNG, ZIP, choose
from app.api.drawing import RouteContext, require_absent
from app.api.drawn import Drawn
from app.api.parameters import GenerateQuery, start
from app.api.points import check_width, named
from app.api.routes.images import url
from app.api.schemas import Generated, GeneratedFromLatents, GeneratedImage, LatentImage
from app.errors import BodyTooLargeError, json_safe
from app.imaging.sheets import square_columns
from app.latent.sampling import Latents, consecutive
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion
from app.runtime.arrays import GraphInputs

router = APIRouter(tags=["images"], route_class=direct_route.DirectKeyRoute)

_OFFERED = (JSON, PNG, ZIP)


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
    openapi_extra=direct_route.description(GenerateQuery, GenerateBody),
)
async def generate(request: Request) -> Response:
    """Generate `n` images from consecutive seeds, starting at `seed` (random if omitted or -1).

    The parameters are in the query or in the JSON body, such as `{"n": 4, "seed": 42}`; the same
    name in both is an error. `seeds` replaces `n` and `seed`; so do `latents` in the body, which
    are used as they are.
    `Accept: application/json` (the default) returns every image as base64 with its seed and URL, or
    with its latent; `image/png` returns the image itself, or a sheet of several; `application/zip`
    has one file per image, `<seed>.png`, or `000.png`, `001.png`, … for latents. The header
    `X-Seed` has the first seed, if any. `edit` adds or removes attributes of every image;
    `GET /models` lists the attributes of each model. `class` and `attributes` name the classes of a
    conditional model, one for each image and repeated in turn, or its attributes.
    """
    return await merging.answer(request, GenerateQuery, GenerateBody, _images)


async def _images(route: RouteContext, given: GenerateBody) -> Response:
    """The images that are requested."""
    media_type, source = choose(route.accept, _OFFERED), _source(given)
    count = source.count
    route.check_count(count, **source.parameters)
    version = route.find(given.model, given.version)
    choice = version.choice(given.mixtures, given.amounts, count)
    options = given.options(version.edit(given.strengths), choice)
    sheet = given.sheet(given.columns or square_columns(count))
    requested = {**source.parameters, **given.size_parameters}
    drawing = route.drawing(version, options, sheet, count, **requested)
    drawn = await drawing.draw(source.rows(version, options), media_type)
    if media_type == PNG:
        return await responses.png(sheet, drawn, source.first, mixed=source.mixed)
    return await _each(media_type, drawn, source, route.request.public_url)


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


async def _each(media_type: str, drawn: Drawn, source: _Source, base: str) -> Response:
    """Every image as a file of its own, in a ZIP or in JSON."""
    files = await responses.pngs(drawn, source.seeds)
    if media_type == ZIP:
        by_seed = {f"{seed}.png": file for seed, file in zip(source.seeds, files, strict=False)}
        named = by_seed or responses.numbered(files)
        return await responses.archive(named, drawn, source.first)
    body = partial(_json_body, drawn, source, files, base)
    return await responses.json(body, files, drawn, source.first)


def _json_body(
    drawn: Drawn, source: _Source, files: Sequence[bytes], base: str
) -> Generated | GeneratedFromLatents:
    """The body of the JSON response."""
    pngs = list(map(responses.base64_text, files))
    version, options = drawn.version, drawn.options
    name, number = version.card.name, version.card.version
    if source.seeds:
        of_seeds = [
            GeneratedImage(
                seed=seed,
                url=url(version, options.of_image(k), seed, base=base),
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
