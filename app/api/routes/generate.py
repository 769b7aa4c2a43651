"""``POST /generate``: many images at once."""

import secrets
from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Request, Response

from app.api import direct_route, openapi, responses
from app.api.allowed import told
from app.api.content_negotiation import JSON, PNG, ZIP, choose
from app.api.parameters import GenerateBody, GenerateQuery
from app.api.routes.images import url
from app.api.schemas import Generated, GeneratedFromLatents, GeneratedImage, LatentImage
from app.errors import TooLargeError, offence, refusal
from app.imaging.sheets import square_columns
from app.latent.sampling import SEEDS, Latents, consecutive
from app.registry.model_version import Drawn, Served

router = APIRouter(tags=["images"], route_class=direct_route.DirectRoute)

_OFFERED = (JSON, PNG, ZIP)
_NOTHING = GenerateBody()


@dataclass(frozen=True)
class _Origin:
    """What images are drawn from: seeds, or latents without any."""

    seeds: list[int]
    latents: list[list[float]]
    asked: dict[str, object]
    """The parameters that decide how many images that is."""
    place: str = "body"

    @property
    def count(self) -> int:
        """How many images that is."""
        return len(self.seeds) or len(self.latents)

    @property
    def first(self) -> int | None:
        """The first seed, if any."""
        return self.seeds[0] if self.seeds else None

    @property
    def mixed(self) -> bool:
        """Whether a sheet of them is of more than its first seed and those that follow."""
        return not self.seeds or self.seeds != consecutive(self.seeds[0], self.count)

    def rows(self, served: Served) -> Latents:
        """The latents. Raises ParameterError for those of another width than the model's."""
        if self.seeds:
            return served.latents(self.seeds)
        width = served.card.latent.width
        allowed = f"a list of {width} numbers, where {served.title} draws"
        for k, row in enumerate(self.latents):
            if len(row) != width:
                raise refusal(offence(f"latents.{k}", "body", told(row), allowed))
        return np.array(self.latents, dtype=np.float32)


@router.post(
    "/generate",
    response_model=Generated | GeneratedFromLatents,
    responses={
        **openapi.pictures(_OFFERED, "The images: JSON, one PNG, or a ZIP of PNGs"),
        **openapi.problems(TooLargeError),
    },
    openapi_extra=direct_route.described(GenerateQuery, GenerateBody),
)
async def generate(request: Request) -> Response:
    """Draw `n` images of the seeds `seed`, `seed + 1`, … (modulo 2³²), or of a random seed on.

    The body may give `seeds` in their place, or `latents`, which are drawn as they are.
    `Accept: application/json` (the default) answers every image as base64 with its seed and URL, or
    its latent; `image/png` the image itself, or a sheet of them; `application/zip` one `<seed>.png`
    each, or `000.png`, `001.png`, … of latents. The header `X-Seed` tells the first seed, if any.
    With `edit` in the body all are given attributes, or lose them, out of those that the model has,
    see `/models`.
    """
    catalog, limit, accept = direct_route.surroundings(request)
    query = direct_route.query(request, GenerateQuery)
    said = await direct_route.body(request, GenerateBody) or _NOTHING
    media_type = choose(accept, _OFFERED)
    origin = _origin(query, said)
    limit.check(origin.count, origin.place, **origin.asked)
    served = catalog.find(query.model, query.version).editing(said.edit, query.look, "body")
    sheet = query.sheet(query.columns or square_columns(origin.count))
    limit.check_size(served, sheet, origin.count, **{**origin.asked, **query.told})
    drawn = await served.draw(origin.rows(served))
    if media_type == PNG:
        return await responses.png(sheet, drawn, origin.first, mixed=origin.mixed)
    return await _each(media_type, drawn, origin)


def _origin(query: GenerateQuery, body: GenerateBody) -> _Origin:
    """What is drawn. Raises ParameterError where that is unclear."""
    if body.latents is not None:
        _alone("latents", query, "n", "seed", "truncation")
        if body.seeds is not None:
            allowed = "left out where latents is given"
            raise refusal(offence("seeds", "body", told(body.seeds), allowed))
        return _Origin([], body.latents, {"latents": told(body.latents)})
    if body.seeds is not None:
        _alone("seeds", query, "n", "seed")
        return _Origin(body.seeds, [], {"seeds": told(body.seeds)})
    first = secrets.randbelow(SEEDS) if query.seed is None else query.seed
    return _Origin(consecutive(first, query.n), [], {"n": query.n}, "query")


def _alone(name: str, query: GenerateQuery, *others: str) -> None:
    """Raise ParameterError for those of ``others`` that say something beside ``name``.

    Clients that are generated from the document say their defaults, too.
    """
    allowed = f"left out where {name} is given"
    defaults = GenerateQuery.model_fields
    given = [other for other in others if getattr(query, other) != defaults[other].default]
    if given:
        raise refusal(*(offence(one, "query", getattr(query, one), allowed) for one in given))


async def _each(media_type: str, drawn: Drawn, origin: _Origin) -> Response:
    """Every image by itself, in a ZIP or in JSON."""
    files = await responses.pngs(drawn, origin.seeds)
    if media_type == ZIP:
        by_seed = {f"{seed}.png": file for seed, file in zip(origin.seeds, files, strict=False)}
        return responses.archive(by_seed or responses.numbered(files), drawn, origin.first)
    texts = map(responses.base64_text, files)
    return responses.json(_told(drawn, origin, list(texts)), drawn, origin.first)


def _told(drawn: Drawn, origin: _Origin, pngs: list[str]) -> Generated | GeneratedFromLatents:
    """The answer in JSON."""
    served = drawn.served
    name, version = served.card.name, served.card.version
    if origin.seeds:
        of_seeds = [
            GeneratedImage(seed=seed, url=url(served, seed), png=png)
            for seed, png in zip(origin.seeds, pngs, strict=True)
        ]
        return Generated(model=name, version=version, images=of_seeds)
    rows = origin.rows(served).tolist()
    of_rows = [LatentImage(latent=row, png=png) for row, png in zip(rows, pngs, strict=True)]
    return GeneratedFromLatents(model=name, version=version, images=of_rows)
