"""One image of one seed as a file: kept, or drawn once for all who ask at the same time."""

from dataclasses import dataclass
from functools import partial

from app.api import etags, responses
from app.batching import jobs
from app.batching.jobs import Claim
from app.batching.lru_cache import LruCache
from app.batching.single_flight import SingleFlight
from app.errors import LateError, OverShareError
from app.middleware import request_context
from app.registry.model_version import Served


@dataclass(frozen=True)
class Picture:
    """What is wanted."""

    served: Served
    seed: int
    media_type: str

    @property
    def etag(self) -> str:
        """The name of its very bytes."""
        served = self.served
        changes = [f"{name}={value}" for name, value in served.changes.items()]
        graph, title = served.engine.identity, served.title
        return etags.strong(graph, etags.makers(), title, self.seed, self.media_type, *changes)


@dataclass(frozen=True)
class File:
    """What it was drawn to."""

    content: bytes
    timing: str
    """As ``Server-Timing`` has it."""


class Pictures:
    """Files of pictures, by their entity tags."""

    def __init__(self, most_bytes: int) -> None:
        """``most_bytes`` bounds what is kept; 0 keeps nothing."""
        self._cache = LruCache(most_bytes)
        self._flights: SingleFlight[File] = SingleFlight(OverShareError)

    def kept(self, etag: str) -> bytes | None:
        """The file, where it need not be drawn."""
        return self._cache.get(etag)

    async def draw(self, picture: Picture, etag: str) -> File:
        """The file, drawn for whoever awaits it. Raises the errors of ``Served.draw``."""
        claim = request_context.claim(1)
        try:
            return await self._flights.join(etag, partial(self._drawn, picture, etag, claim), claim)
        except jobs.ExpiredError as error:
            raise LateError(f"not drawn in time: {error}") from error

    async def _drawn(self, picture: Picture, etag: str, claim: Claim) -> File:
        # Each of those who await it leaves for himself; and none of them alone sets a deadline.
        request_context.lend(Claim(claim.client))
        drawn = await picture.served.draw(picture.served.latents([picture.seed]))
        content = await responses.file(drawn, picture.seed, picture.media_type)
        self._cache.put(etag, content)
        return File(content, responses.timing(drawn))
