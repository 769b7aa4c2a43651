"""Answers as HTTP responses."""

import asyncio
import base64
import io
import time
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise

from fastapi import Response
from pydantic import BaseModel

from app.api.content_negotiation import APNG, GIF, JSON, PNG, WEBP, ZIP
from app.api.schemas import Neighbour, Surroundings
from app.imaging import animation, webp
from app.imaging.animation import AnimationFormat
from app.imaging.png import Text, encode, encode_all
from app.imaging.sheets import Sheet
from app.latent.arithmetic import Neighbourhood
from app.observability import request_stats
from app.registry.model_version import Drawn, Served
from app.runtime.cpus import available

ANIMATIONS: dict[str, AnimationFormat] = {GIF: "gif", WEBP: "webp", APNG: "apng"}
_AT_ONCE = 2**14
"""A picture of so many bytes is encoded sooner than a thread is woken and heard of."""
_APART = 2**18
"""So many bytes of pixels, milliseconds of work, are worth a thread of their own."""


def _headers(drawn: Drawn, seed: int | None) -> dict[str, str]:
    named = {} if seed is None else {"X-Seed": str(seed)}
    return {
        "X-Model": drawn.served.title,
        **named,
        "Server-Timing": timing(drawn),
        "Vary": "Accept",
    }


def streamed(drawn: Drawn, seed: int) -> dict[str, str]:
    """The headers of an answer that begins with what was drawn and goes on."""
    # Without this nginx would keep the beginning until it has more.
    return {**_headers(drawn, seed), "X-Accel-Buffering": "no"}


def timing(drawn: Drawn) -> str:
    """Where the time went, in milliseconds (W3C, "Server Timing"); to be told last of all."""
    encode = time.perf_counter() - drawn.at
    request_stats.current().encoded(encode)
    stages = {"queue": drawn.queue, "compute": drawn.compute, "encode": encode}
    return ", ".join(f"{name};dur={1000 * seconds:.2f}" for name, seconds in stages.items())


def caption(served: Served, seed: int | None) -> Text:
    """What a PNG file says of itself."""
    known = {"model": served.title}
    if seed is not None:
        known["seed"] = str(seed)
    return known | served.changes


def json(body: BaseModel, drawn: Drawn, seed: int | None) -> Response:
    """``body`` as JSON. ``seed`` is the first that the request draws from, if any."""
    content = body.model_dump_json(by_alias=True)
    return Response(content, media_type=JSON, headers=_headers(drawn, seed))


async def png(sheet: Sheet, drawn: Drawn, seed: int | None, *, mixed: bool = False) -> Response:
    """What was drawn on one ``sheet`` as PNG.

    A ``mixed`` one is of more than ``seed`` and those that follow, and its file names none.
    """
    content = await _png(sheet, drawn, caption(drawn.served, None if mixed else seed))
    return Response(content, media_type=PNG, headers=_headers(drawn, seed))


async def _png(sheet: Sheet, drawn: Drawn, text: Text) -> bytes:
    def encoded() -> bytes:
        return encode(sheet.arrange(drawn.enlarged), text)

    height, width = sheet.size(len(drawn.pixels), *drawn.served.size)
    at_once = height * width * drawn.pixels.shape[-1] <= _AT_ONCE
    return encoded() if at_once else await asyncio.to_thread(encoded)


async def file(drawn: Drawn, seed: int, media_type: str) -> bytes:
    """The only image that was drawn as a file: PNG or WebP, which says nothing of itself."""
    if media_type == PNG:
        return await _png(Sheet(columns=1), drawn, caption(drawn.served, seed))
    return await asyncio.to_thread(lambda: webp.encode(drawn.enlarged[0]))


async def animated(
    media_type: str, drawn: Drawn, seed: int, fps: float, *, repeat: bool
) -> Response:
    """What was drawn as an animation, encoded beside the event loop; see ``animation.encode``."""
    form = ANIMATIONS[media_type]

    def encoded() -> bytes:
        return animation.encode(drawn.enlarged, form, fps, repeat=repeat)

    content = await asyncio.to_thread(encoded)
    return Response(content, media_type=media_type, headers=_headers(drawn, seed))


async def pngs(drawn: Drawn, seeds: Sequence[int] | None = None) -> Sequence[bytes]:
    """Every image as a PNG file, encoded beside the event loop, many of them on several CPUs."""
    known: Sequence[int | None] = seeds or [None] * len(drawn.pixels)
    texts = [caption(drawn.served, seed) for seed in known]

    def encoded(part: slice) -> list[bytes]:
        return encode_all(drawn.part(part).enlarged, texts[part])

    parts = _parts(len(texts), drawn.pixels[0].nbytes * drawn.served.look.scale**2)
    found = await asyncio.gather(*(asyncio.to_thread(encoded, part) for part in parts))
    return [file for files in found for file in files]


def _parts(count: int, size: int) -> list[slice]:
    """Nearly equal parts of ``count`` images of ``size`` bytes, as many as are worth a CPU each."""
    number = max(1, min(_cpus(), count, count * size // _APART))
    ends = [count * k // number for k in range(number + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


@cache
def _cpus() -> int:
    return available()


def base64_text(content: bytes) -> str:
    """``content`` in standard base64."""
    return base64.b64encode(content).decode("ascii")


def numbered(files: Sequence[bytes]) -> dict[str, bytes]:
    """``files`` under the names ``000.png``, ``001.png`` and so on."""
    return {f"{k:03}.png": file for k, file in enumerate(files)}


def archive(files: Mapping[str, bytes], drawn: Drawn, seed: int | None) -> Response:
    """``files`` as a ZIP, stored: PNG does not shrink again."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content)
    card = drawn.served.card
    name = f"{card.name}-{card.version}-{'latents' if seed is None else seed}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **_headers(drawn, seed)}
    return Response(buffer.getvalue(), media_type=ZIP, headers=headers)


async def neighbourhood(
    media_type: str, drawn: Drawn, layout: Neighbourhood, sheet: Sheet
) -> Response:
    """The images of ``layout`` on a ``sheet`` in PNG, each in JSON, or each in a ZIP, by number."""
    if media_type == PNG:
        return await png(sheet, drawn, layout.seed, mixed=True)
    files = await pngs(drawn)
    if media_type == ZIP:
        return archive(numbered(files), drawn, layout.seed)
    body = Surroundings(
        model=drawn.served.card.name,
        version=drawn.served.card.version,
        seed=layout.seed,
        radius=layout.radius,
        rows=layout.rows,
        cols=layout.cols,
        middle=layout.middle,
        images=[Neighbour(png=base64_text(file)) for file in files],
    )
    return json(body, drawn, layout.seed)
