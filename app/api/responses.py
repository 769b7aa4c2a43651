"""Generated images as HTTP responses: sheets, animations, ZIP archives and JSON."""

import asyncio
import base64
import io
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypeVar

from fastapi import Response
from pydantic import BaseModel

from app.api.content_negotiation import JSON, PNG, WEBP, ZIP
from app.api.drawn import ENCODING, Drawn
from app.api.formats import MEDIA_TYPES, Format
from app.api.raw_response import Headers, RawResponse, entity_headers
from app.errors import invalid, parameter_error
from app.imaging import animation, webp
from app.imaging.animation import AnimationFormat
from app.imaging.png import Text, encode, encode_all
from app.imaging.sheets import Sheet

T = TypeVar("T")

SHEETS = ("png", "webp")
"""The formats with all images on one sheet."""
_INLINE_BYTES = 2**14
"""Encoding an image of this size takes less time than waking a thread."""
_INLINE_FILES, _INLINE_CONDITIONS = 2**18, 16
"""Copying this many bytes of encoded images into a response takes less time, too.

So does naming the classes or attributes of this many images.
"""
_COPIES = 4
"""Bytes of memory for each byte of the files in a response: in base64, in JSON, encoded."""
_BYTES_PER_THREAD = 2**18
"""Encoding this many bytes of pixels takes milliseconds, which is worth another thread."""


def image_headers(drawn: Drawn, seed: int | None) -> Headers:
    """The headers about the images of a response; call it once encoding has ended."""
    named = () if seed is None else ((b"x-seed", b"%d" % seed),)
    model, timed = drawn.version.label.encode(), timing(drawn).encode()
    return (
        (b"x-model", model),
        *named,
        *condition_headers(drawn.common_condition),
        (b"server-timing", timed),
        (b"vary", b"Accept"),
    )


def condition_headers(condition: Mapping[str, str]) -> Headers:
    """``X-Class`` or ``X-Attributes`` for images with this ``ModelVersion.condition_text``."""
    return tuple([(f"x-{name}".encode(), text.encode()) for name, text in condition.items()])


def _response(
    content: bytes, media_type: str, drawn: Drawn, seed: int | None, *first: tuple[bytes, bytes]
) -> Response:
    """The response with these images, encoded; ``first`` are more headers."""
    about = entity_headers(media_type, len(content))
    return RawResponse(content, (*first, *image_headers(drawn, seed), *about))


def timing(drawn: Drawn) -> str:
    """The value of ``Server-Timing`` (W3C), in milliseconds; call it once encoding has ended.

    It counts the encoding in the request's statistics.
    """
    encode = time.perf_counter() - drawn.ready_at
    drawn.stats.add_encoding(encode)
    queue, compute = 1000 * drawn.queue, 1000 * drawn.compute
    return f"queue;dur={queue:.2f}, compute;dur={compute:.2f}, encode;dur={1000 * encode:.2f}"


@dataclass(slots=True)
class Shown:
    """What the images of a response show."""

    first: int | None
    """The request's first seed, if it has one."""
    seeds: Sequence[int] = ()
    """The seed of each image; empty if they are not those of seeds."""
    consecutive: bool = False
    """Whether they are the images of consecutive seeds."""


async def images(
    form: Format,
    drawn: Drawn,
    sheet: Sheet,
    shown: Shown,
    body: Callable[[Sequence[bytes]], BaseModel],
    *more: tuple[bytes, bytes],
) -> Response:
    """The images: on one ``sheet`` as PNG or WebP, or each as a PNG file in JSON or in a ZIP.

    ``body`` makes the JSON of the files; ``more`` are further headers. Raises ParameterError if the
    sheet is too large for WebP.
    """
    if form in SHEETS:
        return await on_sheet(form, sheet, drawn, shown, *more)
    files = await pngs(drawn, shown.seeds)
    if form == "zip":
        named = {f"{seed}.png": file for seed, file in zip(shown.seeds, files, strict=False)}
        if len(named) < len({*files}):  # images have no seed, or a seed has several images
            named = numbered(files)
        return await archive(named, drawn, shown.first, *more)
    return await json(partial(body, files), files, drawn, shown.first, *more)


async def json(
    build: Callable[[], BaseModel],
    files: Sequence[bytes],
    drawn: Drawn,
    seed: int | None,
    *more: tuple[bytes, bytes],
) -> Response:
    """The body that ``build`` makes of ``files``, as JSON.

    ``seed`` is the request's first seed, if it has one; ``more`` are further headers.
    """

    def encoded() -> bytes:
        return build().model_dump_json(by_alias=True, exclude_none=True).encode()

    return _response(await _joined(encoded, files, drawn), JSON, drawn, seed, *more)


async def _joined(join: Callable[[], T], files: Sequence[bytes], drawn: Drawn) -> T:
    """Return ``join()``, which copies ``files`` into one response; on a thread if it takes long."""
    size = sum(map(len, files))
    named = 0 if drawn.conditions is None else len(files)
    if size <= _INLINE_FILES and named <= _INLINE_CONDITIONS:
        return join()
    return await drawn.encode(join, _COPIES * size)


async def on_sheet(
    form: Format, sheet: Sheet, drawn: Drawn, shown: Shown, *more: tuple[bytes, bytes]
) -> Response:
    """All images on one ``sheet``, as PNG or WebP; ``more`` are further headers.

    Only a PNG file carries text, with the seed if the images are those of it and its successors.
    Raises ParameterError if the sheet is too large for WebP.
    """
    seed = shown.first
    if form == "webp":
        content = await _webp(sheet, drawn)
        return _response(content, WEBP, drawn, seed, *more)
    named = seed if shown.consecutive else None
    caption = drawn.version.caption(drawn.options, named, drawn.common_condition)
    return _response(await _png(sheet, drawn, caption), PNG, drawn, seed, *more)


async def _webp(sheet: Sheet, drawn: Drawn) -> bytes:
    height, width = _size(sheet, drawn)
    if max(height, width) > webp.MAX_SIDE:
        allowed = f"another: no side of a WebP file has more than {webp.MAX_SIDE} pixels, and the "
        allowed += f"sheet has {width} × {height}"
        raise parameter_error(invalid("format", "query", "webp", allowed))
    size = ENCODING * height * width * drawn.pixels.shape[-1]
    return await drawn.encode(lambda: webp.encode(sheet.arrange(drawn.enlarged)), size)


def _size(sheet: Sheet, drawn: Drawn) -> tuple[int, int]:
    """The height and width of a sheet of all images."""
    return sheet.size(len(drawn.pixels), *drawn.version.image_size(drawn.options))


async def _png(sheet: Sheet, drawn: Drawn, text: Text) -> bytes:
    def encoded() -> bytes:
        return encode(sheet.arrange(drawn.enlarged), text)

    height, width = _size(sheet, drawn)
    size = height * width * drawn.pixels.shape[-1]
    if size <= _INLINE_BYTES:
        return encoded()
    return await drawn.encode(encoded, ENCODING * size)


async def image_file(drawn: Drawn, seed: int, media_type: str) -> bytes:
    """The only image of ``drawn`` as a PNG or WebP file; a WebP file carries no text."""
    if media_type == PNG:
        return await _png(Sheet(columns=1), drawn, drawn.caption(0, seed))
    size = ENCODING * drawn.enlarged_bytes
    return await drawn.encode(lambda: webp.encode(drawn.enlarged[0]), size)


async def animated(
    form: AnimationFormat, drawn: Drawn, seed: int | None, fps: float, *, repeat: bool
) -> Response:
    """The images as the frames of an animation, encoded on a thread; see ``animation.encode``."""

    def encoded() -> bytes:
        return animation.encode(drawn.enlarged, form, fps, repeat=repeat)

    content = await drawn.encode(encoded, ENCODING * drawn.enlarged_bytes)
    return _response(content, MEDIA_TYPES[form], drawn, seed)


async def pngs(drawn: Drawn, seeds: Sequence[int] = ()) -> Sequence[bytes]:
    """Every image as a PNG file, encoded on threads; many images use several CPUs."""
    numbered_seeds = [*enumerate(seeds or [None] * len(drawn.pixels))]

    def encoded(part: slice) -> list[bytes]:
        texts = [drawn.caption(k, seed) for k, seed in numbered_seeds[part]]
        return encode_all(drawn.part(part).enlarged, texts)

    size, threads = drawn.enlarged_bytes, drawn.encoders.threads
    parts = _parts(len(numbered_seeds), size, threads)
    each = ENCODING * size // len(parts)
    runs = (drawn.encode(partial(encoded, part), each) for part in parts)
    return [file for files in await asyncio.gather(*runs) for file in files]


def _parts(count: int, size: int, threads: int) -> list[slice]:
    """Nearly equal parts of ``count`` images of ``size`` bytes together.

    There is one for each of the ``threads`` that is worth using.
    """
    number = max(1, min(threads, count, size // _BYTES_PER_THREAD))
    ends = [count * k // number for k in range(number + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def base64_text(content: bytes) -> str:
    """``content`` in standard base64."""
    return base64.b64encode(content).decode("ascii")


def numbered(files: Sequence[bytes]) -> dict[str, bytes]:
    """``files`` under the names ``000.png``, ``001.png`` and so on."""
    return {f"{k:03}.png": file for k, file in enumerate(files)}


async def archive(
    files: Mapping[str, bytes], drawn: Drawn, seed: int | None, *more: tuple[bytes, bytes]
) -> Response:
    """``files`` as a ZIP archive without compression, as PNG is compressed already."""
    content = await _joined(partial(_zip, files), [*files.values()], drawn)
    card = drawn.version.card
    name = f"{card.name}-{card.version}-{'latents' if seed is None else seed}.zip"
    disposition = b"content-disposition", f'attachment; filename="{name}"'.encode()
    return _response(content, ZIP, drawn, seed, disposition, *more)


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()
