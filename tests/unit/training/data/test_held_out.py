import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from app.imaging import png
from training.config import Config
from training.data import datasets, held_out
from training.data.held_out import Order
from training.data.images import ImageSet
from training.data.labels import ImageLabels
from training.data.skipped import SkipReport
from training.errors import DataError

COUNT, SIZE = 520, 16


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    """Different images ``(COUNT, 3, SIZE, SIZE)``."""
    return np.random.default_rng(0).integers(0, 256, (COUNT, 3, SIZE, SIZE), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pixels: NDArray[np.uint8]) -> Path:
    """The images in two class folders, the second of which repeats 20 images of the first."""
    place = tmp_path_factory.mktemp("pictures")
    for number, image in enumerate([*pixels, *pixels[:20]]):
        path = place / ("cats" if number < COUNT // 2 else "dogs") / f"{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png.encode(image.transpose(1, 2, 0)))
    (place / "cats" / "broken.png").write_bytes(b"no image")
    return place


def config(folder: Path, **options: object) -> Config:
    return Config.model_validate({"dataset": f"folder:{folder}", "image_size": SIZE, **options})


def quiet(*_: object) -> None:
    pass


def compressed(image: Image.Image) -> NDArray[np.uint8]:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    return np.asarray(Image.open(file))


def enlarged(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.resize((60, 60)).resize((48, 48)))


def brightened(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(ImageEnhance.Brightness(image).enhance(1.1))


def halved(image: Image.Image) -> NDArray[np.uint8]:
    """Another picture, whose upper half is the same."""
    pixels = np.array(image)
    pixels[24:] = pixels[24:, ::-1]
    return pixels


def as_bytes(found: NDArray[np.uint8]) -> list[bytes]:
    return [image.tobytes() for image in found]


def test_a_share_of_the_images_is_held_out(pixels: NDArray[np.uint8]) -> None:
    for share in (0.05, 0.1, 0.2):
        assert held_out.test_images(Order.of(pixels), share).sum() == round(share * COUNT)
    assert not held_out.test_images(Order.of(pixels), 0).any()
    assert not held_out.test_images(Order.of(pixels[:3]), 0.1).any()


def test_the_parts_depend_on_the_images_not_on_their_order(pixels: NDArray[np.uint8]) -> None:
    order = np.random.default_rng(1).permutation(COUNT)
    mask = held_out.test_images(Order.of(pixels), 0.1)
    np.testing.assert_array_equal(held_out.test_images(Order.of(pixels[order]), 0.1), mask[order])


def test_equal_images_are_on_the_same_side(pixels: NDArray[np.uint8]) -> None:
    mask = held_out.test_images(Order.of(pixels), 0.1)
    first, others = pixels[mask][:1], pixels[~mask]
    repeated = np.concatenate([others, np.repeat(first, 30, axis=0)])
    again = held_out.test_images(Order.of(repeated), 0.02)
    assert again[-30:].all() or not again[-30:].any()
    assert not {*as_bytes(repeated[again])} & {*as_bytes(repeated[~again])}


def test_near_duplicates_are_on_the_same_side_and_counted() -> None:
    random = np.random.default_rng(0)
    small = random.integers(30, 200, (COUNT, 6, 6, 3), dtype=np.uint8)
    drawn = [Image.fromarray(image).resize((48, 48), Image.Resampling.BICUBIC) for image in small]
    kinds = [np.asarray(image) for image in drawn]
    for changed in (compressed, enlarged, brightened, halved):
        images = np.stack([*kinds, *map(changed, drawn[:50])]).transpose(0, 3, 1, 2)
        order = Order.of(images)
        assert order.near_duplicates == (0 if changed is halved else 100)
        mask = held_out.test_images(order, 0.2)
        together = mask[:50] == mask[COUNT:]
        assert together.all() == (changed is not halved)
        assert mask.sum() - round(0.2 * len(images)) in {0, 1}


def test_images_of_one_colour_are_no_near_duplicates() -> None:
    grey = np.arange(200, dtype=np.uint8)[:, None, None, None]
    order = Order.of(np.broadcast_to(grey, (200, 1, SIZE, SIZE)))
    assert order.near_duplicates == 0
    assert held_out.test_images(order, 0.1).sum() == 20


def test_no_feature_network_is_trained_on_test_images(pixels: NDArray[np.uint8]) -> None:
    few = held_out.reference(Order.of(pixels))
    assert few.sum() == round(0.2 * COUNT)
    assert held_out.reference(Order.of(pixels[:300])).sum() == held_out.LEAST
    for share in (0.02, 0.1, 0.2):
        assert not (held_out.test_images(Order.of(pixels), share) & ~few).any()


def test_labels_stay_with_their_images(pixels: NDArray[np.uint8]) -> None:
    values = np.arange(COUNT, dtype=np.uint8)
    labels = ImageLabels(tuple(map(str, range(256))), exclusive=True, values=values)
    mask = held_out.test_images(Order.of(pixels), 0.2)
    found = ImageSet("pictures", "mine", pixels, labels)
    kept, held = held_out.split(found, mask)
    assert kept.labels
    assert held.labels
    np.testing.assert_array_equal(kept.labels.values, values[~mask])
    np.testing.assert_array_equal(held.labels.values, values[mask])
    assert (kept.held_out, held.held_out) == (mask.sum(), 0)
    assert held_out.split(replace(found, labels=None), mask)[0].labels is None


def test_a_run_does_not_train_on_what_is_held_out(folder: Path) -> None:
    lines: list[str] = []
    report = SkipReport(lines.append)
    options = config(folder, test_share=0.2)
    train = datasets.load(options, quiet, report)
    test = datasets.load_test(options, quiet)
    assert test is not None
    assert len(train.pixels) + len(test) == COUNT + 20
    assert len(test) == train.held_out
    assert held_out.LEAST <= len(test) <= 0.2 * (COUNT + 20) + 20
    assert not {*as_bytes(train.pixels)} & {*as_bytes(test)}
    table = list(report.table(train))
    assert table[0].endswith(f": {COUNT + 21} found, {len(train.pixels)} used, 1 skipped")
    assert table[1] == f"{len(test):8} held out"
    other = datasets.load(config(folder, test_share=0.2, seed=7), quiet, quiet)
    np.testing.assert_array_equal(other.pixels, train.pixels)


def test_classes_are_chosen_after_the_parts(folder: Path) -> None:
    options = config(folder, test_share=0.2)
    whole = datasets.load(options, quiet, quiet)
    cats = datasets.load(options.model_copy(update={"classes": "cats"}), quiet, quiet)
    assert whole.labels
    np.testing.assert_array_equal(cats.pixels, whole.pixels[whole.labels.values == 0])
    unlabelled = options.model_copy(update={"conditional": "none"})
    np.testing.assert_array_equal(datasets.load(unlabelled, quiet, quiet).pixels, whole.pixels)


def test_without_test_images_a_fifth_is_the_reference(folder: Path) -> None:
    train, reference = datasets.load_with_reference(config(folder), quiet, quiet)
    everything = datasets.load(config(folder), quiet, quiet)
    assert everything.held_out == 0
    assert len(train.pixels) + len(reference.pixels) == len(everything.pixels) == COUNT + 20
    np.testing.assert_array_equal(
        reference.pixels, everything.pixels[held_out.reference(Order.of(everything.pixels))]
    )
    assert reference.labels
    assert {*reference.labels.values.tolist()} == {0, 1}
    assert datasets.load_test(config(folder), quiet) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"test_share": 0.1},
            r"--test-share 0.1: these are \d\d of 540 images, but must be 100 or",
        ),
        ({"test_share": 0.1}, r"or more: use 0.19 or more, or omit it"),
    ],
)
def test_too_few_test_images_are_refused(
    folder: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        datasets.load(config(folder, **options), quiet, quiet)


def test_a_small_folder_has_no_test_images(tmp_path: Path) -> None:
    for number in range(20):
        Image.new("L", (SIZE, SIZE), number).save(tmp_path / f"{number}.png")
    with pytest.raises(DataError, match=r"--test-share 0.2: these are 4 of 20 images.*: omit it"):
        datasets.load(config(tmp_path, test_share=0.2, batch_size=4), quiet, quiet)


def test_a_data_set_with_test_images_of_its_own_holds_out_no_others(tmp_path: Path) -> None:
    options = Config.model_validate({"dataset": "avatars", "data_dir": tmp_path, "test_share": 0.1})
    with pytest.raises(
        DataError, match=r"--test-share 0.1: test images: avatars has its own; omit it"
    ):
        datasets.load(options, quiet, quiet)
