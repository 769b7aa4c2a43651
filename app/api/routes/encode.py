"""``POST /encode``: the latents of uploaded images."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BeforeValidator, Field

from app.api import openapi, responses, uploads
from app.api.dependencies import KeyRoute, Services
from app.api.drawing import DRAWING_ERRORS, Route
from app.api.encoding import Encoding, Result
from app.api.endpoints import Access, Endpoints
from app.api.formats import ENCODED, SheetFormat
from app.api.numbers import decimal
from app.api.parameters import FORMAT, ClassesQuery, ModelQuery
from app.api.responses import Shown
from app.api.schemas import Encoded, EncodedImage
from app.errors import BodyTooLargeError, MediaTypeError, NotFoundError, error_naming, invalid
from app.imaging import sheets
from app.imaging.sheets import Sheet
from app.imaging.uploads import Invert
from app.latent.refinement import MAX_STEPS
from app.latent.sampling import Latents
from app.middleware import cost
from app.middleware.endpoint_traits import EndpointTraits, QueueInQuery
from app.registry.draw_options import DrawOptions
from app.registry.encoder import Encoder, squared_errors
from app.registry.model_version import ModelVersion

ENDPOINTS = Endpoints(
    APIRouter(tags=["images"], route_class=KeyRoute),
    access=Access.WITH_KEY,
    errors=DRAWING_ERRORS,
    traits=EndpointTraits(
        longest_body=uploads.MAX_BYTES,
        pays="first",
        queue=QueueInQuery("encoder", or_in_body=False),
    ),
)
router = ENDPOINTS.router

_COPIES = 2
"""Bytes of memory for each byte of the files: as they were sent, and without metadata."""
_Refine = Annotated[int, Field(ge=0, le=MAX_STEPS), BeforeValidator(decimal)]


class EncodeQuery(ClassesQuery, ModelQuery):
    """Query of ``POST /encode``."""

    format: SheetFormat | None = Field(None, description=f"{FORMAT}, else JSON")
    invert: Invert = Field(
        "auto",
        description="whether the colours are inverted before the image is encoded; `auto` inverts "
        "dark drawings on light paper for models of grey images on black",
    )
    refine: _Refine = Field(
        0,
        description="steps that bring the latent nearer to the image; they end early where further "
        "ones would gain nothing",
    )


@router.post(
    "/encode",
    response_model=Encoded,
    responses={
        **openapi.formats(ENCODED, "The latents and reconstructions: JSON, one sheet, or a ZIP"),
        **openapi.problems(BodyTooLargeError, MediaTypeError),
    },
    openapi_extra=uploads.description(),
)
async def encode(
    query: Annotated[EncodeQuery, Query()], route: Route, request: Request
) -> Response:
    """Find the latents of up to 16 uploaded images, for a model that has an encoder.

    The body is a form whose files are called `images`, or one PNG, JPEG, WebP or GIF file with its
    media type. Of an animation the first frame counts. The centre of an image is cut out and scaled
    to the size of the model's images, in grey or colour as they are; transparent parts show their
    background. `format`, or else `Accept`, selects the format: `json` (the default) has for every
    image its latent, the probabilities of its classes or attributes, and its reconstruction, the
    image of that latent, as base64; `png` and `webp` are the reconstruction itself, or a sheet of
    several; `zip` has one PNG file for each. `refine` brings the reconstruction nearer to the
    image, in up to 100 steps.

    Other endpoints accept the latents where they accept seeds. Uploads are neither stored nor
    logged.
    """
    form, services = ENCODED.chosen(query.format, route.accept), route.services
    version = route.find(query.model, query.version)
    encoder = _encoder(version, services)
    with services.upload_memory.upload() as upload:
        received = await uploads.read(request, upload)
        choice = version.choice(query.mixtures, query.amounts, len(received))
        inspect = partial(uploads.inspected, received)
        files = await services.encoders.run(inspect, _COPIES * upload.size, route.request.claim())
        price = cost.encoded(len(files), sum(file.pixels for file in files))
        claim = services.admission.admit(route.request, encoder, len(files), price)
        encoding = Encoding(route, version, encoder, DrawOptions(choice=choice), claim)
        prepared = [
            await encoding.prepared(image, file, query.invert)
            for image, file in zip(received, files, strict=True)
        ]
    result = await encoding.result(prepared, query.refine)
    sheet = Sheet(sheets.square_columns(len(prepared)))
    body = partial(_body, version, result)
    return await responses.images(form, result.drawn, sheet, Shown(None), body)


def _encoder(version: ModelVersion, services: Services) -> Encoder:
    """The encoder of a version. Raises NotFoundError if it has none."""
    if version.encoder:
        return version.encoder
    others = ", ".join(str(one.key) for one in services.registry if one.encoder)
    made = f"`python -m training encoder models/{version.key}` makes one"
    allowed = f"a model with an encoder: {others or 'none is served'}; {made}"
    raise error_naming(NotFoundError, invalid("model", "query", str(version.key), allowed))


def _body(version: ModelVersion, result: Result, files: Sequence[bytes]) -> Encoded:
    """The body of the JSON response."""
    card, found = version.card, result.found
    names = card.sampler.names if card.sampler else ()
    errors = squared_errors(result.uploaded, result.drawn.pixels).tolist()
    images = [
        EncodedImage(
            latent=_numbers(found.latents[k]),
            probabilities=dict(zip(names, _numbers(found.probabilities[k]), strict=True)) or None,
            inverted=result.inverted[k],
            error=errors[k],
            png=responses.base64_text(file),
            **result.drawn.condition(k),
        )
        for k, file in enumerate(files)
    ]
    return Encoded(model=card.name, version=card.version, images=images)


def _numbers(row: Latents) -> list[float]:
    """A row of float32 numbers with as few digits as tell them apart."""
    return [float(str(value)) for value in row]
