"""Answers as HTTP responses."""

import asyncio
import base64
import io
import zipfile
from collections.abc import Mapping, Sequence

from fastapi import Response
from pydantic import BaseModel

from app.catalog import Served
from app.images import Pixels
from app.negotiation import JSON, PNG, ZIP
from app.png import Text, encode, encode_all


def _headers(served: Served, seed: int | None) -> dict[str, str]:
    headers = {"X-Model": served.title, "Vary": "Accept"}
    return headers if seed is None else {**headers, "X-Seed": str(seed)}


def _text(served: Served, seed: int | None) -> Text:
    """What a PNG file says of itself."""
    told = {"model": served.title}
    return told if seed is None else {**told, "seed": str(seed)}


def json(body: BaseModel, served: Served, seed: int | None = None) -> Response:
    """``body`` as JSON. ``seed`` is the first image's, where the seeds are consecutive."""
    content = body.model_dump_json(by_alias=True)
    return Response(content, media_type=JSON, headers=_headers(served, seed))


async def png(picture: Pixels, served: Served, seed: int | None = None) -> Response:
    """One picture ``(h, w, channels)`` as PNG."""
    content = await asyncio.to_thread(encode, picture, _text(served, seed))
    return Response(content, media_type=PNG, headers=_headers(served, seed))


async def pngs(
    pixels: Pixels, served: Served, seeds: Sequence[int] | None = None
) -> Sequence[bytes]:
    """Every image of ``(n, h, w, channels)`` as a PNG file, encoded beside the event loop."""
    known: Sequence[int | None] = seeds or [None] * len(pixels)
    texts = [_text(served, seed) for seed in known]
    return await asyncio.to_thread(encode_all, pixels, texts)


def base64_text(content: bytes) -> str:
    """``content`` in standard base64."""
    return base64.b64encode(content).decode("ascii")


def archive(files: Mapping[str, bytes], served: Served, seed: int) -> Response:
    """``files`` as a ZIP, stored: PNG does not shrink again."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content)
    name = f"{served.card.name}-{served.card.version}-{seed}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **_headers(served, seed)}
    return Response(buffer.getvalue(), media_type=ZIP, headers=headers)
