"""The parts of an image file that hold its pixels, found without decoding them.

A small file may describe an image that fills the memory, and metadata may do so, too. So the size
is read from the header, and all that a decoder receives are the parts that it needs. Files are not
trusted: every loop is bounded.

PNG: W3C, "Portable Network Graphics", third edition. JPEG: ITU-T T.81, annex B. GIF: CompuServe,
"GIF89a Specification". WebP: RFC 9649. Exif: CIPA DC-008.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Format = Literal["PNG", "JPEG", "WebP", "GIF"]

MAX_PIXELS: Final = 2**25
"""33 megapixels: more than the usual pictures of phones, which have 12 or 24."""
_MAX_SCANNED: Final = 2**29
"""Pixels times scans of a progressive JPEG file: a second or two of decoding."""
_MAX_PARTS: Final = 2**14
"""Chunks, segments or blocks of one file."""
_MAX_DATA_BLOCKS: Final = 2**17
"""Blocks of data in one frame of a GIF file, each of up to 255 bytes."""
_MAX_EXIF_ENTRIES: Final = 256
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"IEND\xaeB`\x82"
_PNG_PARTS: Final = {b"IHDR", b"PLTE", b"tRNS", b"IDAT"}
_EXIF: Final = b"Exif\0\0"
_ORIENTATION: Final = 0x0112
_STARTS: Final = {b"\x89PNG": "PNG", b"\xff\xd8": "JPEG", b"GIF8": "GIF", b"RIFF": "WebP"}
_SOI, _EOI, _SOS, _DHT, _DAC, _APP0, _APP1, _APP14, _APP15, _COM = (
    0xD8,
    0xD9,
    0xDA,
    0xC4,
    0xCC,
    0xE0,
    0xE1,
    0xEE,
    0xEF,
    0xFE,
)
_SOF: Final = set(range(0xC0, 0xD0)) - {_DHT, _DAC, 0xC8}
"""Markers with the size of the image."""
_FILLED_MARKER: Final = re.compile(rb"\xff+[^\x00\xff]")
"""A marker, with any number of fill bytes before it."""
_IMAGE, _EXTENSION, _GRAPHIC_CONTROL, _TRAILER = b",", b"!", 0xF9, b";"


class RefusedImageError(ValueError):
    """A file that is not decoded: what it is, and what is allowed instead."""

    def __init__(self, found: str, allowed: str) -> None:
        super().__init__(f"{found}, but allowed is {allowed}")
        self.found, self.allowed = found, allowed


@dataclass(frozen=True)
class ImageFile:
    """An image file without its metadata."""

    format: Format
    width: int
    height: int
    content: bytes
    """The file with nothing but what its pixels need; of an animated GIF only the first frame."""
    orientation: int = 1
    """1 to 8, as in Exif: how the image is to be rotated or mirrored."""

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.width * self.height


def inspect(content: bytes) -> ImageFile:
    """The image in ``content``; of a bounded size, but its pixels may still be damaged.

    Takes milliseconds at most. Raises RefusedImageError.
    """
    try:
        return _found(content)
    except (struct.error, IndexError) as error:
        raise _refused(_name(content)) from error


def _found(content: bytes) -> ImageFile:
    if content.startswith(_PNG):
        return _png(content)
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg(content)
    if content.startswith((b"GIF87a", b"GIF89a")):
        return _gif(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp(content)
    raise _refused(_name(content))


def _name(content: bytes) -> str:
    """What ``content`` seems to be."""
    for start, name in _STARTS.items():
        if content.startswith(start):
            return f"a truncated or damaged {name} file"
    if content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "an SVG, XML or HTML document"
    return f"{len(content)} bytes of another format" if content else "empty"


def _refused(found: str) -> RefusedImageError:
    return RefusedImageError(found, "a complete PNG, JPEG, WebP or GIF file")


def _checked(file: ImageFile, scans: int = 1) -> ImageFile:
    """``file``, whose pixels may be decoded. Raises RefusedImageError if there are too many."""
    found = f"a {file.format} file of {file.width} × {file.height} pixels"
    if not 0 < file.pixels <= MAX_PIXELS:
        raise RefusedImageError(found, f"an image of 1 to {MAX_PIXELS} pixels")
    if file.pixels * scans > _MAX_SCANNED:
        allowed = f"a file of this size with at most {_MAX_SCANNED // file.pixels} scans"
        raise RefusedImageError(f"{found} in {scans} scans", allowed)
    return file


def _bounded(parts: Iterator[bytes], name: str) -> Iterator[bytes]:
    """``parts``, up to a number of them. Raises RefusedImageError if there are more."""
    for number, part in enumerate(parts):
        if number == _MAX_PARTS:
            found, allowed = f"a {name} file of more than {_MAX_PARTS} parts", "a file with fewer"
            raise RefusedImageError(found, allowed)
        yield part


def _png(content: bytes) -> ImageFile:
    """Critical chunks and the transparent colours."""
    size, kept, orientation = (0, 0), [_PNG], 1
    if _PNG_END not in content:
        raise IndexError
    for chunk in _bounded(_png_chunks(content), "PNG"):
        kind = chunk[4:8]
        if kind == b"IHDR":
            size = struct.unpack_from(">II", chunk, 8)
        elif kind == b"eXIf":
            orientation = _exif_orientation(chunk[8:-4])
        if kind in _PNG_PARTS:
            kept.append(chunk)
    end = b"\0\0\0\0" + _PNG_END
    return _checked(ImageFile("PNG", *size, b"".join((*kept, end)), orientation))


def _png_chunks(content: bytes) -> Iterator[bytes]:
    """Every chunk before the last one."""
    at = len(_PNG)
    while content[at + 4 : at + 12] != _PNG_END:
        (length,) = struct.unpack_from(">I", content, at)
        end = at + 12 + length
        if end > len(content):
            raise IndexError
        yield content[at:end]
        at = end


def _jpeg(content: bytes) -> ImageFile:
    """Everything but comments and the segments of applications that say nothing about colours."""
    size, kept, orientation, scans = (0, 0), [content[:2]], 1, 0
    for segment in _bounded(_jpeg_segments(content), "JPEG"):
        marker = segment[1]
        if marker in _SOF:
            size = struct.unpack_from(">HH", segment, 5)
        elif marker == _SOS:
            # Inside compressed data this marker cannot occur (T.81, B.1.1.5).
            scans = segment.count(segment[:2])
        elif marker == _APP1 and segment[4:10] == _EXIF and orientation == 1:
            orientation = _exif_orientation(segment[10:])
        if marker in {_APP0, _APP14} or not (_APP0 <= marker <= _APP15 or marker == _COM):
            kept.append(segment)
    height, width = size
    return _checked(ImageFile("JPEG", width, height, b"".join(kept), orientation), scans)


def _jpeg_segments(content: bytes) -> Iterator[bytes]:
    """Every segment before the first scan, and the rest of the file, which begins with it."""
    at = 2
    while found := _FILLED_MARKER.match(content, at):
        at, marker = found.end() - 2, content[found.end() - 1]
        if marker == _SOS:
            yield content[at:]
            return
        (length,) = struct.unpack_from(">H", content, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(content) or marker in {_SOI, _EOI}:
            break
        yield content[at:end]
        at = end
    raise IndexError


def _gif(content: bytes) -> ImageFile:
    """The header, the first frame and what controls it."""
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    start = 13 + _colour_table(flags)
    kept = [content[:start]]
    for block in _bounded(_gif_blocks(content, start), "GIF"):
        if block[0:1] == _EXTENSION and block[1] == _GRAPHIC_CONTROL:
            kept[1:] = [block]
        elif block[0:1] == _IMAGE:
            left, top, frame_width, frame_height = struct.unpack_from("<HHHH", block, 1)
            size = max(width, left + frame_width), max(height, top + frame_height)
            return _checked(ImageFile("GIF", *size, b"".join((*kept, block, _TRAILER))))
    raise IndexError


def _gif_blocks(content: bytes, at: int) -> Iterator[bytes]:
    """Every block after the header."""
    while content[at : at + 1] in {_EXTENSION, _IMAGE}:
        if content[at : at + 1] == _EXTENSION:
            data = at + 2
        else:
            data = at + 10 + _colour_table(content[at + 9]) + 1
        end = _end_of_data(content, data)
        yield content[at:end]
        at = end


def _colour_table(flags: int) -> int:
    """The length of a colour table, from the flags before it."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _end_of_data(content: bytes, at: int) -> int:
    """The position behind the blocks of data at ``at``, each of which begins with its length."""
    for _ in range(_MAX_DATA_BLOCKS):
        length = content[at]
        at += 1 + length
        if not length:
            return at
    found = f"a GIF file with more than {_MAX_DATA_BLOCKS} blocks of data"
    raise RefusedImageError(found, "a file with fewer")


def _webp(content: bytes) -> ImageFile:
    """The file as it is: its decoder takes what it needs."""
    if len(content) < 8 + struct.unpack_from("<I", content, 4)[0]:
        raise IndexError
    orientation, kind = 1, content[12:16]
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        low, high = struct.unpack_from("<IH", content, 24)
        width, height = (low & 0xFFFFFF) + 1, (low >> 24 | high << 8) + 1
        orientation = _webp_orientation(content)
    else:
        raise _refused("a WebP file without an image")
    return _checked(ImageFile("WebP", width, height, content, orientation))


def _webp_orientation(content: bytes) -> int:
    at = 12
    for _ in range(_MAX_PARTS):
        if at + 8 > len(content):
            break
        kind, length = struct.unpack_from("<4sI", content, at)
        if kind == b"EXIF":
            return _exif_orientation(content[at + 8 : at + 8 + length].removeprefix(_EXIF))
        at += 8 + length + length % 2
    return 1


def _exif_orientation(tiff: bytes) -> int:
    """The orientation in Exif data; 1 if there is none, or if it is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, at)
        for entry in range(min(count, _MAX_EXIF_ENTRIES)):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, at + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
