"""``POST /encode``: the latents of uploaded images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from app.api import openapi, responses, uploads
from app.api.content_negotiation import JSON, PNG, choose
from app.api.dependencies import KeyRoute, Services
from app.api.drawing import Route, RouteContext
from app.api.drawn import Drawn, Generation
from app.api.parameters import EncodeQuery
from app.api.schemas import Encoded
from app.api.schemas import EncodedImage as EncodedImageBody
from app.api.uploads import UploadedImage
from app.batching.jobs import Claim
from app.errors import BodyTooLargeError, MediaTypeError, NotFoundError, invalid
from app.imaging import sheets
from app.imaging.containers import ImageFile, RefusedImageError
from app.imaging.sheets import Pixels, Sheet
from app.imaging.uploads import BYTES_PER_PIXEL, Invert, Prepared, prepare
from app.latent.sampling import Latents
from app.middleware import cost
from app.registry.draw_options import DrawOptions
from app.registry.encoder import EncodedImages, Encoder
from app.registry.model_version import ModelVersion

router = APIRouter(tags=["images"], route_class=KeyRoute)

_OFFERED = (JSON, PNG)
_COPIES = 2
"""Bytes of memory for each byte of the files: as they were sent, and without metadata."""


@dataclass(frozen=True)
class _Result:
    """The uploads of one request, encoded."""

    uploaded: Pixels
    """As the model would have drawn them: uint8 ``(n, height, width, channels)``."""
    inverted: Sequence[bool]
    found: EncodedImages
    drawn: Drawn
    """The reconstructions."""


@dataclass(frozen=True)
class _Encoding:
    """A request that has been admitted."""

    route: RouteContext
    version: ModelVersion
    encoder: Encoder
    options: DrawOptions
    claim: Claim

    async def prepared(self, image: UploadedImage, file: ImageFile, invert: Invert) -> Prepared:
        """One upload as the model would have drawn it. Raises ParameterError if it is damaged."""
        work, size = partial(prepare, file, self.encoder.images, invert), file.pixels
        try:
            encoders = self.route.services.encoders
            return await encoders.run(work, BYTES_PER_PIXEL * size, self.claim)
        except RefusedImageError as error:
            raise uploads.refusal(image, error) from error

    async def result(self, prepared: Sequence[Prepared]) -> _Result:
        """The latents of the uploads, and their reconstructions.

        Raises as ``Queued.compute``.
        """
        version, stats = self.version, self.route.request.stats
        pixels = np.stack([one.pixels for one in prepared])
        found = await self.encoder.encode(pixels, self.claim, len(pixels))
        stats.add_images(version.card.name, version.card.version, 0, found.queue, found.compute)
        conditions = version.probable_conditions(found.probabilities, self.options)
        rows = version.rows(found.latents, conditions, self.options)
        generation = Generation(version, self.options, stats, self.route.services.encoders)
        drawn = await generation.images(rows, self.claim, len(pixels))
        queue, compute = found.queue + drawn.queue, found.compute + drawn.compute
        timed = replace(drawn, queue=queue, compute=compute)
        return _Result(pixels, [one.inverted for one in prepared], found, timed)


@router.post(
    "/encode",
    response_model=Encoded,
    responses={
        **openapi.images(_OFFERED, "The latents and reconstructions: JSON, or one PNG"),
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
    background. `Accept: application/json` (the default) returns for every image its latent, the
    probabilities of its classes or attributes, and its reconstruction, the image of that latent, as
    base64; `image/png` returns the reconstruction itself, or a sheet of several.

    Other endpoints accept the latents where they accept seeds. Uploads are neither stored nor
    logged.
    """
    media_type, services = choose(route.accept, _OFFERED), route.services
    version = route.find(query.model, query.version)
    encoder = _encoder(version, services)
    with services.upload_memory.upload() as upload:
        received = await uploads.read(request, upload)
        choice = version.choice(query.mixtures, query.amounts, len(received))
        inspect = partial(uploads.inspected, received)
        files = await services.encoders.run(inspect, _COPIES * upload.size, route.request.claim())
        price = cost.encoded(len(files), sum(file.pixels for file in files))
        claim = services.admission.admit(route.request, encoder, len(files), price)
        encoding = _Encoding(route, version, encoder, DrawOptions(choice=choice), claim)
        prepared = [
            await encoding.prepared(image, file, query.invert)
            for image, file in zip(received, files, strict=True)
        ]
    result = await encoding.result(prepared)
    if media_type == PNG:
        sheet = Sheet(sheets.square_columns(len(prepared)))
        return await responses.png(sheet, result.drawn, None, mixed=True)
    images = await responses.pngs(result.drawn)
    body = partial(_body, version, result, images)
    return await responses.json(body, images, result.drawn, None)


def _encoder(version: ModelVersion, services: Services) -> Encoder:
    """The encoder of a version. Raises NotFoundError if it has none."""
    if version.encoder:
        return version.encoder
    others = ", ".join(str(one.key) for one in services.registry if one.encoder)
    made = f"`python -m training encoder models/{version.key}` makes one"
    allowed = f"a model with an encoder: {others or 'none is served'}; {made}"
    problem = invalid("model", "query", str(version.key), allowed)
    raise NotFoundError(f"model is {str(version.key)!r} but must be {allowed}", [problem])


def _body(version: ModelVersion, result: _Result, files: Sequence[bytes]) -> Encoded:
    """The body of the JSON response."""
    card, found = version.card, result.found
    names = card.sampler.names if card.sampler else ()
    errors = _errors(result.uploaded, result.drawn.pixels)
    images = [
        EncodedImageBody(
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


def _errors(uploaded: Pixels, drawn: Pixels) -> list[float]:
    """The mean squared difference of each image, in pixels from 0 to 1."""
    difference = (uploaded.astype(np.float64) - drawn) / 255
    return [float(value) for value in np.square(difference).mean(axis=(1, 2, 3)).round(6)]


def _numbers(row: Latents) -> list[float]:
    """A row of float32 numbers with as few digits as tell them apart."""
    return [float(str(value)) for value in row]
