"""Streams images as lines of JSON (NDJSON) while later images are still being generated."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from app.api import responses
from app.api.content_negotiation import NDJSON
from app.api.drawing import Drawing
from app.api.drawn import Drawn
from app.api.schemas import Frame
from app.batching.jobs import DisconnectedError
from app.errors import AppError, problem
from app.runtime import arrays
from app.runtime.arrays import GraphInputs

_MOST = 16
"""Images in one batch: enough to be efficient; more would make the stream jerky."""
# Otherwise nginx would hold the first images back.
_UNBUFFERED = (b"x-accel-buffering", b"no")


async def frames(
    drawing: Drawing,
    rows: GraphInputs,
    images: Sequence[Mapping[str, Any]],
    seed: int | None,
    path: str,
) -> StreamingResponse:
    """One line for each image of ``rows``, once it is generated.

    ``images`` have the other fields of ``schemas.Frame``. The stream pauses while the client does
    not read, and ends if it disconnects. Raises the errors of ``Drawing.draw`` for the first image;
    a later error ends the stream with a Problem whose ``instance`` is ``path``.
    """
    rest, remaining = pieces(rows), iter(images)
    drawn = await drawing.draw(next(rest), on_sheet=False)
    first = await _lines(drawn, remaining)
    lines = _stream(first, drawing, rest, remaining, path)
    about = *responses.image_headers(drawn, seed), _UNBUFFERED
    response = StreamingResponse(lines, media_type=NDJSON)
    response.raw_headers = [*about, *response.raw_headers]
    return response


def pieces(rows: GraphInputs) -> Iterator[GraphInputs]:
    """``rows`` in pieces of 1, 2, 4, 8 and then 16, so that the first image arrives early."""
    taken, size = 0, 1
    while taken < arrays.count(rows):
        yield arrays.part(rows, slice(taken, taken + size))
        taken, size = taken + size, min(2 * size, _MOST)


async def _stream(
    first: str,
    drawing: Drawing,
    rest: Iterator[GraphInputs],
    images: Iterator[Mapping[str, Any]],
    path: str,
) -> AsyncIterator[str]:
    yield first
    try:
        for rows in rest:
            yield await _lines(await drawing.draw(rows, on_sheet=False), images)
    except DisconnectedError:
        return  # nobody reads the rest
    except AppError as error:
        yield _line(problem(type(error), error.detail, path))


async def _lines(drawn: Drawn, images: Iterator[Mapping[str, Any]]) -> str:
    """One line for each image, with its fields in ``images``."""
    files = map(responses.base64_text, await responses.pngs(drawn))
    return "".join(
        _line(Frame(**next(images), png=file, **drawn.condition(k))) for k, file in enumerate(files)
    )


def _line(body: BaseModel) -> str:
    return f"{body.model_dump_json(by_alias=True, exclude_none=True)}\n"
