"""Answers as HTTP responses."""

import asyncio
import base64
import io
import zipfile
from collections.abc import Mapping, Sequence

from fastapi import Response
from pydantic import BaseModel

from app import images
from app.arithmetic import Neighbourhood
from app.catalog import Served
from app.images import Pixels
from app.negotiation import JSON, PNG, ZIP
from app.png import Text, encode, encode_all
from app.schemas import Neighbour, Surroundings


def _headers(served: Served, seed: int) -> dict[str, str]:
    return {"X-Model": served.title, "X-Seed": str(seed), "Vary": "Accept"}


def _text(served: Served, seed: int | None) -> Text:
    """What a PNG file says of itself."""
    known = {"model": served.title, "seed": seed, "edit": served.edit.text or None}
    return {keyword: str(value) for keyword, value in known.items() if value is not None}


def json(body: BaseModel, served: Served, seed: int) -> Response:
    """``body`` as JSON. ``seed`` is the first that the request draws from."""
    content = body.model_dump_json(by_alias=True)
    return Response(content, media_type=JSON, headers=_headers(served, seed))


async def png(picture: Pixels, served: Served, seed: int, *, mixed: bool = False) -> Response:
    """One picture ``(h, w, channels)`` as PNG.

    A ``mixed`` one is of more than ``seed`` and those that follow, and its file names none.
    """
    text = _text(served, None if mixed else seed)
    content = await asyncio.to_thread(encode, picture, text)
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


async def neighbourhood(
    media_type: str, served: Served, layout: Neighbourhood, pixels: Pixels
) -> Response:
    """The images of ``layout`` as a sheet in PNG, each in JSON, or each in a ZIP, by number."""
    if media_type == PNG:
        return await png(images.sheet(pixels, layout.cols), served, layout.seed, mixed=True)
    files = await pngs(pixels, served)
    if media_type == ZIP:
        named = {f"{k:03}.png": file for k, file in enumerate(files)}
        return archive(named, served, layout.seed)
    body = Surroundings(
        model=served.card.name,
        version=served.card.version,
        seed=layout.seed,
        radius=layout.radius,
        rows=layout.rows,
        cols=layout.cols,
        middle=layout.middle,
        images=[Neighbour(png=base64_text(file)) for file in files],
    )
    return json(body, served, layout.seed)
