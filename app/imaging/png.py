"""PNG files, written fast (ISO/IEC 15948; W3C, "Portable Network Graphics", third edition).

Pillow tries filters row by row and waits for zlib. Small generated images gain nothing from that:
here every row is filtered alike, for all images at once, and ISA-L compresses. That takes two
thirds of the time for 28×28 pixels, a twelfth for a sheet, to about the same size
(tests/bench/RESULTS.md).
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from isal import isal_zlib

from app.imaging.sheets import Pixels

Text = Mapping[str, str]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH = 8
_COLOUR_TYPES = {1: 0, 3: 2}  # grey and RGB, by channels
_UP = 2  # the filter that gives each byte's difference to the one above it
_LEVEL = 1
_FIRST = 4  # bytes of a stream's first block


def encode(image: Pixels, text: Text | None = None) -> bytes:
    """One image ``(h, w, 1)`` or ``(h, w, 3)`` as a PNG file; see ``encode_all``."""
    (file,) = encode_all(image[None], [text or {}])
    return file


def encode_all(pixels: Pixels, texts: Sequence[Text] = ()) -> list[bytes]:
    """Every image of ``pixels`` ``(n, h, w, 1)`` or ``(n, h, w, 3)`` as a PNG file, grey or RGB.

    ``texts`` has a mapping for each image, or is left out; keywords and values are Latin-1, a
    keyword of 1 to 79 characters. The same pixels and texts give the same bytes.
    """
    _, height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, _DEPTH, _COLOUR_TYPES[channels], 0, 0, 0)
    start = _SIGNATURE + _chunk(b"IHDR", header)
    files = []
    for rows, text in zip(_filtered(pixels), texts or [{}] * len(pixels), strict=True):
        data = _chunk(b"IDAT", _compressed(rows.reshape(-1)))
        files.append(b"".join((start, *_texts(text), data, IEND)))
    return files


def _filtered(pixels: Pixels) -> Pixels:
    """The rows of every image behind the number of their filter, ``(n, h, 1 + w * channels)``."""
    lines = pixels.reshape(*pixels.shape[:2], -1)
    filtered = np.empty((*lines.shape[:2], 1 + lines.shape[2]), dtype=np.uint8)
    filtered[:, :, 0] = _UP
    filtered[:, 0, 1:] = lines[:, 0]  # above the first row is a row of zeros
    np.subtract(lines[:, 1:], lines[:, :-1], out=filtered[:, 1:, 1:])  # modulo 256, as it must be
    return filtered


def _compressed(rows: Pixels) -> bytes:
    """``rows`` ``(size,)`` as a zlib stream, the same one in every thread and process.

    ISA-L's level 1 (2.32.1, igzip_icf_body_h1_gr_bt.asm, ``write_first_byte``) hashes the third
    byte of a stream from a register that holds an address: one thread in some hundreds found other
    matches, so that one image had two files. A first block of 4 to 16 bytes is left to code without
    that fault, and the next one begins elsewhere.
    """
    stream = isal_zlib.compressobj(_LEVEL)
    parts = (
        stream.compress(rows[:_FIRST]),
        stream.flush(isal_zlib.Z_SYNC_FLUSH),
        stream.compress(rows[_FIRST:]),
        stream.flush(),
    )
    return b"".join(parts)


def _texts(text: Text) -> Iterator[bytes]:
    for keyword, value in text.items():
        yield _chunk(b"tEXt", f"{keyword}\0{value}".encode("latin-1"))


def _chunk(kind: bytes, data: bytes) -> bytes:
    content = kind + data
    return struct.pack(">I", len(data)) + content + struct.pack(">I", isal_zlib.crc32(content))


IEND = _chunk(b"IEND", b"")
"""The last bytes of every file."""
