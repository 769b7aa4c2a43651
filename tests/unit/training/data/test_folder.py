import contextlib
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import EpsImagePlugin, Image

from training.data import folder, folder_files, image_file
from training.data.folder import FolderOptions
from training.data.images import ImageSet
from training.data.skipped import SkipReport
from training.errors import DataError
from training.image_size import ImageSize

SIZE = 16
NO_IMAGE = "not an image of a supported format"
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes one image below the folder, of one colour by default."""

    def saved(
        name: str, colour: object = (200, 100, 50), *, mode: str = "RGB", **options: object
    ) -> Path:
        picture = colour if isinstance(colour, Image.Image) else Image.new(mode, (20, 20), colour)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, **options)
        return path

    return saved


class Recorder:
    """Loads a folder and records the callbacks."""

    def __init__(self) -> None:
        self.skipped: list[tuple[Path, str]] = []
        self.progress: list[tuple[str, int, int]] = []

    def load(self, place: Path, size: int = SIZE, batch_size: int = 2) -> ImageSet:
        def progress(name: str, so_far: int, total: int) -> None:
            self.progress.append((name, so_far, total))

        def skipped(path: Path, reason: str) -> None:
            self.skipped.append((path, reason))

        return folder.load(
            place, FolderOptions(ImageSize.square(size), batch_size), progress, skipped
        )


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def read(path: Path, size: int) -> NDArray[np.uint8]:
    """The image in ``path`` as a data set of only this image would have it."""
    square = image_file.read(path, ImageSize.square(size))
    if square.dtype == np.uint16:
        grey = image_file.eight_bits(square.astype(np.uint16), int(square.max()))
        return np.stack([grey] * 3)
    return square.astype(np.uint8)


def pixel(path: Path) -> tuple[int, ...]:
    """The colour in the middle of the image in ``path``."""
    pixels = read(path, SIZE)
    assert (pixels.shape, pixels.dtype) == ((3, SIZE, SIZE), np.uint8)
    return tuple(pixels[:, SIZE // 2, SIZE // 2].tolist())


# Loading a folder.


def test_every_image_below_the_folder_is_found_in_the_order_of_paths(
    tmp_path: Path, save: Save, recorder: Recorder
) -> None:
    names = [f"{place}{k:02d}.png" for place in ("", "b/", "b/c/", "B/") for k in range(5)]
    np.random.default_rng(0).shuffle(names)
    for k, name in enumerate(names):
        save(name, (k, 0, 0))
    found = recorder.load(tmp_path)
    assert found.pixels.shape == (20, 3, SIZE, SIZE)
    assert [names[k] for k in found.pixels[:, 0, 0, 0]] == sorted(names)
    assert recorder.skipped == []


def test_the_same_folder_gives_the_same_bits(
    tmp_path: Path, save: Save, recorder: Recorder
) -> None:
    noise = np.random.default_rng(0)
    for k in range(16):
        pixels = noise.integers(0, 256, (30 + k, 50 - k, 3), dtype=np.uint8)
        save(f"{k}.jpg", Image.fromarray(pixels))
    first, second = recorder.load(tmp_path), recorder.load(tmp_path)
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_a_folder_is_named_after_itself_and_its_licence_is_unknown(
    tmp_path: Path, save: Save, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k in range(16):
        save(f"pets/{k}.png")
    monkeypatch.chdir(tmp_path / "pets")
    for place in (tmp_path / "pets", Path(), Path("../pets/")):
        found = recorder.load(place)
        assert (found.name, found.licence) == ("folder:pets", "unknown, the user's own")


def test_progress_is_reported_in_bytes(tmp_path: Path, save: Save, recorder: Recorder) -> None:
    sizes = [save(f"{k:02d}.png", (k, k, 9 * k)).stat().st_size for k in range(16)]
    recorder.load(tmp_path)
    assert len(recorder.progress) == 16
    assert {name for name, _, _ in recorder.progress} == {f"folder:{tmp_path.name}"}
    assert [done for _, done, _ in recorder.progress] == np.cumsum(sizes).tolist()
    assert {total for _, _, total in recorder.progress} == {sum(sizes)}


@pytest.mark.parametrize(
    ("last", "mode", "channels"),
    [(9, "L", 1), ((9, 9, 9), "RGB", 1), (9, "P", 1), ((9, 9, 8), "RGB", 3)],
    ids=["grey", "grey in RGB", "grey in a palette", "almost grey"],
)
def test_images_are_grey_if_all_of_them_are(
    tmp_path: Path, save: Save, recorder: Recorder, last: object, mode: str, channels: int
) -> None:
    for k in range(15):
        save(f"{k:02d}.png", 10 * k, mode="L")
    picture = Image.new(mode, (20, 20), last)  # type: ignore[arg-type]
    if mode == "P":
        picture.putpalette([value for value in range(256) for _ in range(3)])
    save("last.png", picture)
    found = recorder.load(tmp_path)
    assert found.pixels.shape == (16, channels, SIZE, SIZE)
    assert found.pixels[:15, 0, 0, 0].tolist() == [10 * k for k in range(15)]


def test_hidden_files_are_ignored(tmp_path: Path, save: Save, recorder: Recorder) -> None:
    for k in range(16):
        save(f"{k}.png")
    for name in (".hidden.png", ".cache/a.png", "a/.b/c.png"):
        save(name)
    assert len(recorder.load(tmp_path).pixels) == 16
    assert recorder.skipped == []


def test_what_is_no_file_is_skipped_and_named(
    tmp_path: Path, save: Save, recorder: Recorder
) -> None:
    for k in range(16):
        save(f"{k}.png")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self").symlink_to("self")
    assert len(recorder.load(tmp_path).pixels) == 16
    assert dict(recorder.skipped) == {
        tmp_path / "pipe": "not a regular file",
        tmp_path / "dangling": "a link to nothing",
        tmp_path / "self": "cannot be read: Too many levels of symbolic links",
    }


def test_links_are_followed_and_every_folder_is_read_once(
    tmp_path: Path, save: Save, recorder: Recorder
) -> None:
    for k in range(8):
        save(f"store/cats/{k}.png", (k, 0, 0))
        save(f"data/dogs/{k}.png", (10 + k, 0, 0))
    data = tmp_path / "data"
    (data / "cats").symlink_to("../store/cats")
    (data / "again").symlink_to("dogs")
    (data / "dogs" / "loop").symlink_to("..")
    found = recorder.load(data)
    assert found.labels is not None
    assert found.labels.names == ("cats", "dogs")
    assert found.labels.values.tolist() == [0] * 8 + [1] * 8
    assert found.pixels[:, 0, 0, 0].tolist() == [*range(8), *range(10, 18)]
    assert dict(recorder.skipped) == {
        data / "again": f"the same folder as {data / 'dogs'}",
        data / "dogs" / "loop": f"the same folder as {data}",
    }


def test_a_folder_that_cannot_be_read_is_skipped_and_named(
    tmp_path: Path, save: Save, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k in range(16):
        save(f"open/{k}.png")
        save(f"locked/{k}.png")
    scan = os.scandir

    def refused(place: Path) -> object:  # root may read everything
        if place.name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(place)

    monkeypatch.setattr(folder_files.os, "scandir", refused)
    assert len(recorder.load(tmp_path).pixels) == 16
    assert recorder.skipped == [(tmp_path / "locked", "cannot be read: Permission denied")]


def test_a_file_that_vanishes_while_the_folder_is_read_is_skipped_and_named(
    tmp_path: Path, save: Save, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k in range(17):
        save(f"{k}.png")
    found = folder_files.files

    def vanishing(*arguments: Any) -> list[Path]:
        paths = found(*arguments)
        (tmp_path / "3.png").unlink()
        return paths

    monkeypatch.setattr(folder, "files", vanishing)
    assert len(recorder.load(tmp_path).pixels) == 16
    assert [path for path, _ in recorder.skipped] == [tmp_path / "3.png"]


def test_names_that_are_no_text_are_escaped(tmp_path: Path, save: Save) -> None:
    place = tmp_path / os.fsdecode(b"caf\xe9\x1b[2J")
    for k in range(16):
        save(f"pets/{k}.png")
    (tmp_path / "pets").rename(place)
    (place / os.fsdecode(b"\xff\n.jpg")).write_bytes(b"no image")
    lines: list[str] = []
    report = SkipReport(lines.append)
    found = folder.load(place, FolderOptions(ImageSize.square(SIZE), 2), lambda *_: None, report)
    assert found.name == r"folder:caf\xe9\x1b[2J"
    lines += report.table(found)
    assert lines == [
        rf"warning: {tmp_path}/caf\xe9\x1b[2J/\xff\n.jpg: skipped: {NO_IMAGE}",
        r"folder:caf\xe9\x1b[2J: 17 found, 16 used, 1 skipped",
        r"       1 skipped: not an image of a supported format (\xff\n.jpg)",
    ]


def test_the_table_counts_what_was_skipped_and_the_images_of_each_class(
    tmp_path: Path, save: Save
) -> None:
    for k in range(10):
        save(f"cats/{k}.png")
        save(f"dogs/{k}.png")
    for k in range(4):
        (tmp_path / "cats" / f"{k}.txt").write_text("no image")
    (tmp_path / "cats" / "half.png").write_bytes(whole("PNG")[:5000])
    report = SkipReport(lambda _: None)
    found = folder.load(tmp_path, FolderOptions(ImageSize.square(SIZE), 2), lambda *_: None, report)
    first, *others = report.table(found)
    assert first == f"folder:{tmp_path.name}: 25 found, 20 used, 5 skipped"
    assert others[0] == (
        "       4 skipped: not an image of a supported format (0.txt, 1.txt, 2.txt, …)"
    )
    assert others[1].startswith("       1 skipped: cannot be read: ")
    assert others[2:] == ["      10 of class cats", "      10 of class dogs"]


def test_a_path_that_is_not_a_folder_is_refused(tmp_path: Path, recorder: Recorder) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "absent"):
        with pytest.raises(DataError, match=f"--dataset folder:.*{name}: not a folder"):
            recorder.load(tmp_path / name)


@pytest.mark.parametrize(
    ("good", "bad", "batch_size", "enough"),
    [
        (16, 0, 2, True),
        (16, 4, 16, True),
        (15, 3, 2, False),
        (16, 3, 17, False),
        (0, 2, 2, False),
        (0, 0, 2, False),
    ],
)
def test_too_few_images_are_refused_with_both_counts(
    tmp_path: Path,
    save: Save,
    recorder: Recorder,
    good: int,
    bad: int,
    batch_size: int,
    enough: bool,
) -> None:
    for k in range(good):
        save(f"{k}.png")
    for k in range(bad):
        (tmp_path / f"{k}.txt").write_text("no image")
    if enough:
        assert len(recorder.load(tmp_path, batch_size=batch_size).pixels) == good
    else:
        start = f"{tmp_path}: found {good} images and skipped {bad} files; "
        with pytest.raises(DataError) as caught:
            recorder.load(tmp_path, batch_size=batch_size)
        assert str(caught.value).startswith(start)
        assert f"--batch-size {batch_size}" in str(caught.value)
    assert len(recorder.skipped) == bad


# Unusable files.


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(width: int, height: int) -> bytes:
    """A PNG whose header says that it is this large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data


def whole(kind: str) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


BAD: dict[str, tuple[bytes, str]] = {
    "empty.png": (b"", "not an image of a supported format"),
    "text.png": (b"This is text, not an image.", "not an image of a supported format"),
    "half.png": (whole("PNG")[:5000], "truncated"),
    "half.jpg": (whole("JPEG")[:3000], "truncated"),
    "half.gif": (whole("GIF")[:3000], "cannot be read"),
    "half.bmp": (whole("BMP")[:3000], "truncated"),
    "half.tif": (whole("TIFF")[:3000], "cannot be read|not an image"),
    "half.webp": (whole("WEBP")[:3000], "cannot be read|not an image"),
    "header.png": (whole("PNG")[:20], "cannot be read|not an image"),
    "huge.png": (png(60_000, 60_000), "exceeds limit"),
    "large.png": (png(10_000, 10_000), "exceeds limit"),
    "endless.png": (png(2**31 - 1, 2**31 - 1), "exceeds limit"),
    "nothing.png": (png(0, 0), "cannot be read|not an image"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_unusable_file_is_reported_and_skipped(
    tmp_path: Path, save: Save, recorder: Recorder, name: str
) -> None:
    content, _ = BAD[name]
    for k in range(16):
        save(f"{k:02d}.png", (k, 0, 0))
    (tmp_path / f"07-{name}").write_bytes(content)
    found = recorder.load(tmp_path)
    assert found.pixels[:, 0, 0, 0].tolist() == list(range(16))
    ((path, reason),) = recorder.skipped
    assert path == tmp_path / f"07-{name}"
    assert reason
    with pytest.raises(DataError, match=BAD[name][1]):
        read(path, SIZE)


@pytest.mark.parametrize(
    ("mode", "colour", "reason"),
    [("F", 0.5, "floating-point"), ("I", 70_000, "32-bit"), ("I", -1, "32-bit")],
)
def test_pixels_without_a_known_range_are_refused(
    save: Save, mode: str, colour: float, reason: str
) -> None:
    path = save("deep.tif", colour, mode=mode)
    with pytest.raises(DataError, match=reason):
        read(path, SIZE)


def test_no_damage_to_any_format_does_more_than_skip_a_file(tmp_path: Path) -> None:
    # Every error of a decoder must end as a reason to skip the file.
    random = np.random.default_rng(1)
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX"):
        content = whole(kind)
        for k in range(12):
            damaged = bytearray(content)
            for _ in range(1 + 4 * k):
                damaged[random.integers(min(len(damaged), 40 * (k + 1)))] = random.integers(256)
            path = tmp_path / f"damaged.{kind.lower()}"
            path.write_bytes(damaged)
            with contextlib.suppress(DataError):
                assert read(path, SIZE).shape == (3, SIZE, SIZE)


@pytest.mark.parametrize("content", [b"%!PS-Adobe-3.0 EPSF-3.0", b"\xc5\xd0\xd3\xc6"])
def test_postscript_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    def ghostscript(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", ghostscript)
    path = tmp_path / "a.png"
    endless = b"\n%%BoundingBox: 0 0 16 16\n%%EndComments\n{1 pop} loop\n%%EOF\n"
    path.write_bytes(content + endless)
    with pytest.raises(DataError, match="not an image of a supported format"):
        read(path, SIZE)


def test_a_jpeg_beyond_pillows_limit_is_decoded_small_and_other_formats_are_not(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [save(f"a.{kind}", Image.new("RGB", (600, 400), "red")) for kind in ("jpg", "png")]
    for limit in (
        200_000,
        100_000,
    ):  # beyond twice its limit Pillow does not only warn
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        red, green, blue = pixel(paths[0])
        assert red > 240
        assert max(green, blue) < 15
        with pytest.raises(DataError, match=r"240000 pixels\) exceeds limit"):
            read(paths[1], SIZE)
        assert limit == Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(image_file, "MAX_JPEG_PIXELS", 110_000)
    with pytest.raises(DataError, match=r"240000 pixels\) exceeds limit"):
        read(paths[0], SIZE)


def tiff(*entries: bytes, values: bytes = b"") -> bytes:
    """Exif data with these entries, of 12 bytes each, followed by ``values``."""
    table = struct.pack(">H", len(entries)) + b"".join(entries) + bytes(4)
    return b"Exif\0\0MM\0*\0\0\0\x08" + table + values


LEFT = struct.pack(">HHIHH", 0x112, 3, 1, 6, 0)  # orientation 6
MALFORMED = {
    "twice": (b"Exif\0\0" + tiff(struct.pack(">HHIHH", 0x112, 3, 1, 1, 0)), False),
    "empty": (b"Exif\0\0", False),
    "noise": (b"Exif\0\0" + bytes(range(64)), False),
    "cut off": (tiff(LEFT)[:17], False),
    "a rational that cannot be written": (
        tiff(LEFT, struct.pack(">HHII", 0x11A, 10, 1, 38), values=struct.pack(">ii", -1, 0)),
        True,
    ),
    "a resolution of the wrong type": (
        tiff(LEFT, struct.pack(">HHI4s", 0x11A, 2, 1, b"7\0\0\0")),
        True,
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_exif_data_do_not_make_a_picture_unreadable(tmp_path: Path, name: str) -> None:
    exif, turned = MALFORMED[name]
    halves = np.zeros((64, 64, 3), dtype=np.uint8)
    halves[:32] = 255  # white above
    buffer = io.BytesIO()
    Image.fromarray(halves).save(buffer, "JPEG", quality=95)
    jpeg = buffer.getvalue()
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    pixels = read(path, SIZE)[0]
    bright = pixels[:, SIZE // 2 + 2 :] if turned else pixels[: SIZE // 2 - 2]
    assert bright.min() > 240
    assert pixels.min() < 15


@pytest.mark.parametrize(
    ("largest", "white"),
    [(255, 255), (256, 1023), (1023, 1023), (1024, 4095), (4095, 4095), (16383, 16383)],
)
def test_images_of_16_bits_have_the_depth_that_their_largest_pixel_needs(
    tmp_path: Path, save: Save, recorder: Recorder, largest: int, white: int
) -> None:
    levels = np.linspace(0, largest, 16).round().astype(np.uint16)
    for k, level in enumerate(levels):
        save(f"{k:02d}.png", Image.fromarray(np.full((20, 20), level)))
    found = recorder.load(tmp_path)
    assert found.pixels.shape == (16, 1, SIZE, SIZE)
    expected = np.round(levels / white * 255)
    assert np.abs(found.pixels[:, 0, 3, 3] - expected).max() <= 1
    assert found.pixels.max() == round(largest / white * 255)


def test_images_of_8_and_of_16_bits_can_be_mixed(
    tmp_path: Path, save: Save, recorder: Recorder
) -> None:
    for k in range(15):
        save(f"{k:02d}.png", (10 * k, 0, 0))
    save("15.png", Image.fromarray(np.full((20, 20), 4095, dtype=np.uint16)))
    found = recorder.load(tmp_path)
    assert found.pixels[:15, 0, 0, 0].tolist() == [10 * k for k in range(15)]
    assert (found.pixels[15] == 255).all()


# Image formats and modes.


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif", "a.tif", "a.ppm", "a.tga", "a.PNG"])
def test_lossless_formats_keep_their_colour(save: Save, name: str) -> None:
    assert pixel(save(name)) == (200, 100, 50)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.jpeg"])
def test_lossy_formats_nearly_keep_it(save: Save, name: str) -> None:
    assert np.abs(np.subtract(pixel(save(name)), (200, 100, 50))).max() <= 6


@pytest.mark.parametrize(
    ("name", "mode", "colour", "expected"),
    [
        ("a.tif", "CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("a.jpg", "CMYK", (0, 0, 0, 255), (0, 0, 0)),
        ("a.png", "1", 1, (255, 255, 255)),
        ("a.png", "L", 77, (77, 77, 77)),
        ("a.png", "LA", (77, 255), (77, 77, 77)),
        ("a.png", "LA", (77, 0), (255, 255, 255)),
        ("a.png", "RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("a.png", "RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("a.png", "RGBA", (0, 0, 0, 51), (204, 204, 204)),
        ("a.png", "I;16", 65_535, (255, 255, 255)),
        ("a.png", "I;16", 257 * 77, (77, 77, 77)),
        ("a.png", "I;16", 257 * 77 + 128, (77, 77, 77)),
        ("a.png", "I;16", 257 * 77 + 129, (78, 78, 78)),
        ("a.tif", "I;16B", 257 * 200, (200, 200, 200)),
        ("a.pgm", "I", 257 * 200, (200, 200, 200)),
    ],
)
def test_every_mode_becomes_rgb_with_white_behind_it(
    save: Save, name: str, mode: str, colour: object, expected: tuple[int, ...]
) -> None:
    assert pixel(save(name, colour, mode=mode)) == expected


def test_a_palettes_colours_are_looked_up(save: Save) -> None:
    picture = Image.new("P", (20, 20), 3)
    picture.putpalette([0, 0, 0] * 3 + [9, 8, 7])
    assert pixel(save("a.png", picture)) == (9, 8, 7)
    assert pixel(save("b.png", picture, transparency=3)) == (255, 255, 255)
    assert pixel(save("c.png", picture, transparency=bytes((255, 255, 255, 0)))) == (255, 255, 255)


def test_a_transparent_colour_becomes_white(save: Save) -> None:
    assert pixel(save("a.png", (1, 2, 3), transparency=(1, 2, 3))) == (255, 255, 255)
    assert pixel(save("b.png", 5, mode="L", transparency=5)) == (255, 255, 255)


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_of_an_animation_the_first_frame_is_taken(save: Save, name: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    path = save(name, frames[0], save_all=True, append_images=frames[1:], duration=100)
    red, green, blue = pixel(path)
    assert red > 240
    assert max(green, blue) < 15


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_stands_upright(save: Save, orientation: int) -> None:
    quarters = np.zeros((32, 32, 3), dtype=np.uint8)
    quarters[:16, :16], quarters[:16, 16:], quarters[16:, :16] = 255, (255, 0, 0), (0, 255, 0)
    turned: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
        1: lambda x: x,
        2: np.fliplr,
        3: lambda x: np.rot90(x, 2),
        4: np.flipud,
        5: lambda x: x.swapaxes(0, 1),
        6: np.rot90,
        7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
        8: lambda x: np.rot90(x, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turned[orientation](quarters)))
    found = read(save("a.png", stored, exif=exif), 32)
    np.testing.assert_array_equal(found.transpose(1, 2, 0), quarters)


def test_a_large_jpeg_is_decoded_small_and_looks_the_same(save: Save) -> None:
    ramp = np.linspace(0, 255, 640, dtype=np.uint8)
    large = np.stack([np.broadcast_to(ramp, (480, 640))] * 3, axis=-1)
    whole_way = Image.fromarray(large[:, 80:560]).resize((16, 16), Image.Resampling.LANCZOS)
    found = read(save("a.jpg", Image.fromarray(large), quality=95), SIZE)
    difference = found.transpose(1, 2, 0).astype(int) - np.asarray(whole_way)
    assert np.abs(difference).max() <= 3


def test_very_long_images_are_cut_to_their_middle(save: Save) -> None:
    assert pixel(save("a.png", Image.new("RGB", (1, 3000), "red"))) == (255, 0, 0)
    assert pixel(save("b.png", Image.new("RGB", (3000, 1), "red"))) == (255, 0, 0)


def test_an_aligned_face_of_celeba_is_cut_to_its_middle_square_and_scaled(
    tmp_path: Path, save: Save, recorder: Recorder
) -> None:
    noise = np.random.default_rng(0)
    photographs = noise.integers(0, 256, (16, 218, 178, 3), dtype=np.uint8)
    for k, photograph in enumerate(photographs):
        save(f"img_align_celeba/{k + 1:06d}.png", Image.fromarray(photograph))
    found = recorder.load(tmp_path, size=64)
    assert found.pixels.shape == (16, 3, 64, 64)
    for pixels, photograph in zip(found.pixels, photographs, strict=True):
        square = Image.fromarray(photograph[20:198])
        expected = np.asarray(square.resize((64, 64), Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(pixels.transpose(1, 2, 0), expected)
