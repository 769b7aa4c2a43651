"""Image files of single seeds: from the cache, or generated once for all concurrent requests."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from app.api import etags, responses
from app.api.drawn import Generation
from app.api.raw_response import Headers
from app.batching import jobs
from app.batching.jobs import Claim
from app.batching.lru_cache import LruCache
from app.batching.single_flight import SingleFlight
from app.errors import DeadlineError, QueueShareError
from app.latent.choices import NO_CHOICE
from app.latent.conditions import text_of_seed
from app.middleware import cost
from app.middleware.encoders import Encoders
from app.observability.request_stats import RequestStats
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion


@dataclass(frozen=True)
class ImageKey:
    """One image file."""

    version: ModelVersion
    options: DrawOptions
    seed: int
    media_type: str

    @property
    def price(self) -> float:
        """What the client pays for it, see ``cost.images``."""
        height, width = self.version.image_size(self.options)
        return cost.images(self.version, 1, height * width)

    @property
    def condition_headers(self) -> Headers:
        """The class or the attributes of the image."""
        return responses.condition_headers(self._condition_text)

    @property
    def _condition_text(self) -> Mapping[str, str]:
        sampler, choice = self.version.card.sampler, self.options.choice
        if sampler is None:
            return {}
        if choice is NO_CHOICE:
            return {sampler.parameter: text_of_seed(sampler, self.seed)}
        if sampler.parameter == "class":
            return choice.parameters
        return self.version.condition_text(self.version.conditions([self.seed], self.options)[0])

    @property
    def etag(self) -> str:
        """The strong entity tag of the file: the same for the same bytes."""
        version = self.version
        parameters = [f"{name}={value}" for name, value in self.options.parameters.items()]
        return etags.strong(
            version.engine.identity,
            etags.library_versions(),
            version.key,
            self.seed,
            self.media_type,
            *parameters,
        )


@dataclass(frozen=True)
class ImageFile:
    """An encoded image."""

    content: bytes
    timing: str
    """The value of ``Server-Timing``."""


class ImageCache:
    """Encoded images by their entity tags."""

    def __init__(self, most_bytes: int, encoders: Encoders) -> None:
        """``most_bytes`` bounds the size of the cache; 0 disables it."""
        self._cache, self._encoders = LruCache(most_bytes), encoders
        self._flights: SingleFlight[ImageFile] = SingleFlight(QueueShareError)

    def get(self, etag: str) -> bytes | None:
        """The file's content; None if it is not in the cache."""
        return self._cache.get(etag)

    async def generate(
        self, key: ImageKey, etag: str, claim: Claim, stats: RequestStats
    ) -> ImageFile:
        """The file, generated once for all requests that wait for it at the same time.

        Raises the errors of ``Queued.compute``.
        """
        begin = partial(self._begin, key, etag, claim, stats)
        try:
            return await self._flights.join(etag, begin, claim)
        except jobs.ExpiredError as error:
            raise DeadlineError(f"not generated in time: {error}") from error

    def _begin(
        self, key: ImageKey, etag: str, claim: Claim, stats: RequestStats
    ) -> asyncio.Task[ImageFile]:
        """Start to generate the file, under a lease of its own: it may outlive the request."""
        key.version.acquire()
        task = asyncio.create_task(self._generated(key, etag, claim, stats))
        task.add_done_callback(lambda _: key.version.release())
        return task

    async def _generated(
        self, key: ImageKey, etag: str, claim: Claim, stats: RequestStats
    ) -> ImageFile:
        # Several requests may share the result: none of them alone sets a deadline or cancels it.
        shared = Claim(claim.client)
        rows = key.version.rows_to_queue([key.seed], key.options)
        generation = Generation(key.version, key.options, stats, self._encoders)
        drawn = await generation.images(rows, shared, key.price)
        content = await responses.image_file(drawn, key.seed, key.media_type)
        self._cache.put(etag, content)
        return ImageFile(content, responses.timing(drawn))
