"""An encoding request that has been admitted: its uploads become latents and reconstructions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from app.api import uploads
from app.api.drawing import RouteContext
from app.api.drawn import Drawn, Generation
from app.api.uploads import UploadedImage
from app.batching.jobs import Claim, Computed
from app.imaging.containers import ImageFile, RefusedImageError
from app.imaging.sheets import Pixels
from app.imaging.uploads import BYTES_PER_PIXEL, Invert, Prepared, prepare
from app.latent.conditions import Conditions
from app.latent.refinement import CANDIDATES, MAX_DIRECTIONS, Refinement
from app.latent.sampling import Latents
from app.registry.draw_options import DrawOptions
from app.registry.encoder import EncodedImages, Encoder
from app.registry.model_version import ModelVersion

_BYTES_PER_PROBE = 12
"""Bytes of memory for each byte of pixels in a step of ``refine``: three copies as float32."""


@dataclass(frozen=True)
class Result:
    """The uploads of one request, encoded."""

    uploaded: Pixels
    """As the model would have drawn them: uint8 ``(n, height, width, channels)``."""
    inverted: Sequence[bool]
    found: EncodedImages
    """Its latents have been refined, if the request asks for that."""
    drawn: Drawn
    """The reconstructions."""


@dataclass(frozen=True)
class Encoding:
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

    async def result(self, prepared: Sequence[Prepared], steps: int) -> Result:
        """The latents of the uploads, refined in ``steps``, and their reconstructions.

        Raises as ``Queued.compute``.
        """
        pixels = np.stack([one.pixels for one in prepared])
        found = await self.encoder.encode(pixels, self.claim, len(pixels))
        conditions = self.version.probable_conditions(found.probabilities, self.options)
        canvas = _Canvas(self, found.queue, found.compute)
        drawn = await canvas.images(found.latents, conditions)
        refined = [
            await self._refined(canvas, refinement, conditions[k : k + 1], steps)
            for k, refinement in enumerate(map(self._refinement, pixels, found.latents, drawn))
        ]
        found = replace(found, latents=np.stack([one.latent for one in refined]))
        images = np.stack([one.image for one in refined])
        inverted = [one.inverted for one in prepared]
        return Result(pixels, inverted, found, canvas.drawn(images, conditions))

    def _refinement(self, target: Pixels, latent: Latents, image: Pixels) -> Refinement:
        directions = min(MAX_DIRECTIONS, self.route.services.settings.max_images)
        return Refinement(target, latent, image, self.version.card.latent.prior, directions)

    async def _refined(
        self, canvas: "_Canvas", refinement: Refinement, condition: Conditions, steps: int
    ) -> Refinement:
        """``refinement`` after up to ``steps`` steps, each charged for the images it generates."""
        services, context = self.route.services, self.route.request
        for _ in range(steps):
            if refinement.done:
                break
            probes = refinement.probes()
            services.admission.charge(context, len(probes) + CANDIDATES)
            images = await canvas.images(probes, condition)
            work, size = partial(refinement.candidates, images), _BYTES_PER_PROBE * images.nbytes
            candidates = await services.encoders.run(work, size, self.claim)
            refinement.choose(await canvas.images(candidates, condition))
        return refinement


@dataclass
class _Canvas:
    """Draws images of latents for one request, and adds up how long that takes."""

    encoding: Encoding
    queue: float
    compute: float
    """Seconds so far, see ``jobs.Computed``."""

    async def images(self, latents: Latents, conditions: Conditions) -> Pixels:
        """The images of latents ``(n, width)``, of one condition ``(1, k)`` or one for each."""
        version, count = self.encoding.version, len(latents)
        of_each = conditions.repeat(count // len(conditions), axis=0)
        rows = version.rows(latents, of_each, self.encoding.options)
        computed = await version.compute(rows, self.encoding.claim, count)
        self.queue += computed.queue
        self.compute += computed.compute
        pixels: Pixels = computed.results
        return pixels

    def drawn(self, images: Pixels, conditions: Conditions) -> Drawn:
        """``images``, ready to be encoded, and counted in the statistics."""
        one, route = self.encoding, self.encoding.route
        encoders = route.services.encoders
        generation = Generation(one.version, one.options, route.request.stats, encoders)
        of_images = conditions if one.version.card.sampler else None
        return generation.drawn(Computed(images, self.queue, self.compute), of_images, one.claim)
