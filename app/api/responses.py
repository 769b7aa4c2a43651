"""Generated images as HTTP responses: sheets, animations, ZIP archives and JSON."""

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
from app.api.drawn import Drawn
from app.api.schemas import NeighbourImage, Neighbours
from app.imaging import animation, webp
from app.imaging.animation import AnimationFormat
from app.imaging.png import Text, encode, encode_all
from app.imaging.sheets import Sheet
from app.latent.arithmetic import Neighbourhood
from app.runtime.cpus import available

ANIMATIONS: dict[str, AnimationFormat] = {GIF: "gif", WEBP: "webp", APNG: "apng"}
_INLINE_BYTES = 2**14
"""Encoding an image of this size takes less time than waking a thread."""
_BYTES_PER_THREAD = 2**18
"""Encoding this many bytes of pixels takes milliseconds, which is worth another thread."""


def _headers(drawn: Drawn, seed: int | None) -> dict[str, str]:
    named = {} if seed is None else {"X-Seed": str(seed)}
    return {
        "X-Model": str(drawn.version.key),
        **named,
        "Server-Timing": timing(drawn),
        "Vary": "Accept",
    }


def stream_headers(drawn: Drawn, seed: int) -> dict[str, str]:
    """The headers of a stream whose first images are ``drawn``."""
    # Without X-Accel-Buffering nginx would hold the first images back.
    return {**_headers(drawn, seed), "X-Accel-Buffering": "no"}


def timing(drawn: Drawn) -> str:
    """The value of ``Server-Timing`` (W3C), in milliseconds; call it once encoding has ended.

    It counts the encoding in the request's statistics.
    """
    encode = time.perf_counter() - drawn.ready_at
    drawn.stats.add_encoding(encode)
    stages = {"queue": drawn.queue, "compute": drawn.compute, "encode": encode}
    return ", ".join(f"{name};dur={1000 * seconds:.2f}" for name, seconds in stages.items())


def json(body: BaseModel, drawn: Drawn, seed: int | None) -> Response:
    """``body`` as JSON. ``seed`` is the request's first seed, if it has one."""
    content = body.model_dump_json(by_alias=True)
    return Response(content, media_type=JSON, headers=_headers(drawn, seed))


async def png(sheet: Sheet, drawn: Drawn, seed: int | None, *, mixed: bool = False) -> Response:
    """All images on one ``sheet`` as PNG.

    ``seed`` goes into the headers. It goes into the file only if the images are those of ``seed``
    and its successors, not ``mixed``.
    """
    content = await _png(sheet, drawn, _caption(drawn, None if mixed else seed))
    return Response(content, media_type=PNG, headers=_headers(drawn, seed))


def _caption(drawn: Drawn, seed: int | None) -> Text:
    return drawn.version.caption(drawn.options, seed)


async def _png(sheet: Sheet, drawn: Drawn, text: Text) -> bytes:
    def encoded() -> bytes:
        return encode(sheet.arrange(drawn.enlarged), text)

    height, width = sheet.size(len(drawn.pixels), *drawn.version.image_size(drawn.options))
    inline = height * width * drawn.pixels.shape[-1] <= _INLINE_BYTES
    return encoded() if inline else await asyncio.to_thread(encoded)


async def image_file(drawn: Drawn, seed: int, media_type: str) -> bytes:
    """The only image of ``drawn`` as a PNG or WebP file; a WebP file carries no text."""
    if media_type == PNG:
        return await _png(Sheet(columns=1), drawn, _caption(drawn, seed))
    return await asyncio.to_thread(lambda: webp.encode(drawn.enlarged[0]))


async def animated(
    media_type: str, drawn: Drawn, seed: int, fps: float, *, repeat: bool
) -> Response:
    """The images as the frames of an animation, encoded on a thread; see ``animation.encode``."""
    file_format = ANIMATIONS[media_type]

    def encoded() -> bytes:
        return animation.encode(drawn.enlarged, file_format, fps, repeat=repeat)

    content = await asyncio.to_thread(encoded)
    return Response(content, media_type=media_type, headers=_headers(drawn, seed))


async def pngs(drawn: Drawn, seeds: Sequence[int] | None = None) -> Sequence[bytes]:
    """Every image as a PNG file, encoded on threads; many images use several CPUs."""
    known: Sequence[int | None] = seeds or [None] * len(drawn.pixels)
    texts = [_caption(drawn, seed) for seed in known]

    def encoded(part: slice) -> list[bytes]:
        return encode_all(drawn.part(part).enlarged, texts[part])

    parts = _parts(len(texts), drawn.pixels[0].nbytes * drawn.options.scale**2)
    found = await asyncio.gather(*(asyncio.to_thread(encoded, part) for part in parts))
    return [file for files in found for file in files]


def _parts(count: int, size: int) -> list[slice]:
    """Nearly equal parts of ``count`` images of ``size`` bytes, one for each useful thread."""
    number = max(1, min(_cpus(), count, count * size // _BYTES_PER_THREAD))
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
    """``files`` as a ZIP archive without compression, as PNG is compressed already."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content)
    card = drawn.version.card
    name = f"{card.name}-{card.version}-{'latents' if seed is None else seed}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **_headers(drawn, seed)}
    return Response(buffer.getvalue(), media_type=ZIP, headers=headers)


async def neighbourhood(
    media_type: str, drawn: Drawn, layout: Neighbourhood, sheet: Sheet
) -> Response:
    """The images of ``layout``: on a ``sheet`` as PNG, each in JSON, or each in a ZIP."""
    if media_type == PNG:
        return await png(sheet, drawn, layout.seed, mixed=True)
    files = await pngs(drawn)
    if media_type == ZIP:
        return archive(numbered(files), drawn, layout.seed)
    body = Neighbours(
        model=drawn.version.card.name,
        version=drawn.version.card.version,
        seed=layout.seed,
        radius=layout.radius,
        rows=layout.rows,
        cols=layout.cols,
        middle=layout.middle,
        images=[NeighbourImage(png=base64_text(file)) for file in files],
    )
    return json(body, drawn, layout.seed)
