"""Images that are sent while others are drawn, as lines of JSON (NDJSON)."""

from collections.abc import AsyncIterator, Iterator, Sequence

from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from app.api import responses
from app.api.content_negotiation import NDJSON
from app.api.schemas import Frame
from app.batching.jobs import DisconnectedError
from app.errors import AppError, Problem
from app.latent.sampling import Latents
from app.registry.model_version import Drawn, Served

_MOST = 16
"""So many images make a batch worth its while; more would come in fits and starts."""


async def frames(
    served: Served, rows: Latents, positions: Sequence[float], seed: int, path: str
) -> StreamingResponse:
    """A line for each image of latents ``(n, width)``, with its position, as soon as it is drawn.

    A client that takes its time, or leaves, holds up what follows, or ends it. Raises the errors
    of ``Served.draw`` for the first image; for any other they end the lines with a Problem, which
    names ``path``.
    """
    rest, places = pieces(rows), iter(positions)
    drawn = await served.draw(next(rest))
    first = await _lines(drawn, places)
    lines = _stream(first, served, rest, places, path)
    return StreamingResponse(lines, headers=responses.streamed(drawn, seed), media_type=NDJSON)


def pieces(rows: Latents) -> Iterator[Latents]:
    """``rows`` in pieces of 1, 2, 4, 8 and then 16: the first image soon, the last not late."""
    taken, size = 0, 1
    while taken < len(rows):
        yield rows[taken : taken + size]
        taken, size = taken + size, min(2 * size, _MOST)


async def _stream(
    first: str, served: Served, rest: Iterator[Latents], places: Iterator[float], path: str
) -> AsyncIterator[str]:
    yield first
    try:
        for rows in rest:
            yield await _lines(await served.draw(rows), places)
    except DisconnectedError:
        return  # nobody reads on
    except AppError as error:
        status = error.status
        problem = Problem(title=status.phrase, status=status, detail=error.detail, instance=path)
        yield _line(problem)


async def _lines(drawn: Drawn, places: Iterator[float]) -> str:
    """What was drawn, a line each, at the next of ``places``."""
    files = map(responses.base64_text, await responses.pngs(drawn))
    return "".join(_line(Frame(position=next(places), png=file)) for file in files)


def _line(told: BaseModel) -> str:
    return f"{told.model_dump_json(by_alias=True)}\n"
