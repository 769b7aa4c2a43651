"""A fast PNG encoder (ISO/IEC 15948; W3C, "Portable Network Graphics", third edition).

Pillow tries several filters on every row and compresses with zlib. Small generated images gain
nothing from that: here all rows of an image get the same filter, in one step, and ISA-L
compresses them. That takes half of Pillow's time for 28×28 pixels and a tenth for a sheet, and
the files are about as large (tests/bench/RESULTS.md).
"""

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from isal import isal_zlib

from app.imaging.sheets import Pixels

Text = Mapping[str, str]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH = 8
_COLOUR_TYPES = {1: 0, 3: 2}  # grey and RGB, by the number of channels
_GREY = 1
"""Channels of images whose rows are not filtered: their files are as small on average."""
_UP = 2  # the filter that replaces each byte by its difference from the byte above
_LEVEL = 1
_FIRST = 4  # bytes in the first block of a stream


def encode(image: Pixels, text: Text | None = None) -> bytes:
    """Return one image ``(h, w, 1)`` or ``(h, w, 3)`` as a grey or RGB PNG file.

    Keywords and values of ``text`` are Latin-1; a keyword has 1 to 79 characters. The same pixels
    and text always give the same bytes.
    """
    data = _chunk(b"IDAT", _compressed(_filtered(image)))
    return b"".join((_start(*image.shape), *_texts(text or {}), data, IEND))


def encode_all(pixels: Pixels, texts: Sequence[Text] = ()) -> list[bytes]:
    """Return each of the images ``(n, h, w, c)`` as ``encode`` does.

    ``texts`` is empty or has one mapping per image.
    """
    known = texts or [{}] * len(pixels)
    return [encode(image, text) for image, text in zip(pixels, known, strict=True)]


@lru_cache
def _start(height: int, width: int, channels: int) -> bytes:
    """The beginning of a file, up to the chunk with the image's size and colour type."""
    header = struct.pack(">IIBBBBB", width, height, _DEPTH, _COLOUR_TYPES[channels], 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header)


def _filtered(image: Pixels) -> Pixels:
    """Return all filtered rows, each after the number of its filter: ``(size,)``."""
    height, width, channels = image.shape
    rows = image.reshape(height, width * channels)
    filtered = np.zeros((height, 1 + width * channels), dtype=np.uint8)
    if channels == _GREY:
        filtered[:, 1:] = rows
    else:
        filtered[:, 0] = _UP
        filtered[0, 1:] = rows[0]  # the row above the first one counts as zeros
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])  # modulo 256, as specified
    return filtered.reshape(-1)


def _compressed(rows: Pixels) -> bytes:
    """Return ``rows`` ``(size,)`` as a zlib stream, the same in every thread and process.

    ISA-L's level 1 (2.32.1, igzip_icf_body_h1_gr_bt.asm, ``write_first_byte``) hashes the third
    byte of a stream from a register that holds an address. One thread in several hundred therefore
    found other matches, and one image had two different files. A first block of 4 to 16 bytes is
    compressed by other code, without that defect, and the next block does not start at the
    beginning of the stream.
    """
    stream = isal_zlib.compressobj(_LEVEL)
    parts = (
        stream.compress(rows[:_FIRST]),
        stream.flush(isal_zlib.Z_SYNC_FLUSH),
        stream.compress(rows[_FIRST:]),
        stream.flush(),
    )
    return b"".join(parts)


def _texts(text: Text) -> list[bytes]:
    return [
        _chunk(b"tEXt", f"{keyword}\0{value}".encode("latin-1")) for keyword, value in text.items()
    ]


def _chunk(kind: bytes, data: bytes) -> bytes:
    content = kind + data
    return len(data).to_bytes(4) + content + isal_zlib.crc32(content).to_bytes(4)


IEND = _chunk(b"IEND", b"")
"""The last chunk of every file."""
