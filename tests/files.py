"""Image files to upload: good ones, damaged ones, and some that would fill the memory."""

import io
import struct
import zlib
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9"/></svg>'
ORIENTATION = 0x0112


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG", orientation: int = 1) -> bytes:
    """Pixels ``(h, w)`` or ``(h, w, channels)`` as a file; without loss, except for JPEG."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"exif": exif.tobytes()} if orientation > 1 else {}
    quality = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    Image.fromarray(pixels).save(file, kind, **options, **quality)
    return file.getvalue()


def png_bomb(side: int = 20_000) -> bytes:
    """A valid PNG file of ``side`` × ``side`` black or white pixels: 400 million in 50 kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    compressor, row = zlib.compressobj(), bytes(1 + side // 8)
    data = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg_of_size(width: int, height: int) -> bytes:
    """A small JPEG file whose header says that it has this size."""
    file = encoded(np.zeros((16, 16), np.uint8), "JPEG")
    return file.replace(struct.pack(">HH", 16, 16), struct.pack(">HH", height, width), 1)


def webp_of_size(width: int, height: int) -> bytes:
    """A small WebP file whose header says that it has this size."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    header = b"VP8X" + struct.pack("<II", 10, 0) + size
    body = b"WEBP" + header + encoded(np.zeros((4, 4), np.uint8), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_of_size(width: int, height: int) -> bytes:
    """A small GIF file whose header says that it has this size."""
    file = bytearray(encoded(np.zeros((4, 4), np.uint8), "GIF"))
    file[6:10] = struct.pack("<HH", width, height)
    return bytes(file)


@cache
def hostile() -> dict[str, tuple[bytes, str]]:
    """Files that are refused without being decoded, and a part of what the error says."""
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    whole = encoded(photo)
    return {
        "decompression bomb": (png_bomb(), "20000 × 20000 pixels"),
        "100 megapixels": (jpeg_of_size(10_000, 10_000), "10000 × 10000 pixels"),
        "large WebP": (webp_of_size(16_000, 16_000), "16000 × 16000 pixels"),
        "large GIF": (gif_of_size(60_000, 60_000), "60000 × 60000 pixels"),
        "truncated PNG": (whole[: len(whole) // 2], "a truncated or damaged PNG file"),
        "truncated WebP": (encoded(photo, "WEBP")[:-9], "a truncated or damaged WebP file"),
        "SVG": (SVG, "an SVG, XML or HTML document"),
        "empty": (b"", "empty"),
        "text": (b"not an image", "12 bytes of another format"),
    }
