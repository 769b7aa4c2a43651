"""``attributes --labels``: a person's own attributes of images."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from app.artifact import card
from app.artifact.card import Direction, Latent
from app.imaging.sheets import Pixels
from app.latent.conditions import AttributeSampler
from training.__main__ import main
from training.evaluation import attributes, feature_file, features, loaded_model
from training.evaluation.feature_file import About
from training.evaluation.loaded_model import LoadedModel
from training.evaluation.records import AttributeEdit, AttributesRecord
from training.gan.conditional import Rows

SIDE, WIDTH, IMAGES = 16, 4, 60


def picture(bright: bool, striped: bool, noise: int) -> Pixels:
    """A grey picture ``(SIDE, SIDE)``: bright or dark, with stripes or without."""
    random = np.random.default_rng(noise)
    found = np.full((SIDE, SIDE), 150 if bright else 60) + random.integers(0, 20, (SIDE, SIDE))
    found[:, ::4] += 80 if striped else 0
    return found.astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, of which every second is bright and every third striped, and their network."""
    place = tmp_path_factory.mktemp("own") / "pictures"
    (place / "more").mkdir(parents=True)
    for k in range(IMAGES):
        Image.fromarray(picture(k % 2 == 0, k % 3 == 0, k)).save(place / name(k))
    torch.manual_seed(0)
    network = features.build((1, SIDE, SIDE), 4)
    about = About(
        dataset="folder:pictures",
        image_shape=(1, SIDE, SIDE),
        classes=(),
        accuracy=None,
        images=IMAGES,
        steps=1,
        seed=0,
        distances={},
    )
    feature_file.write(network, about, place.with_name("pictures-features.pt"))
    return place


def name(k: int) -> str:
    return f"more/{k}.png" if k % 5 == 0 else f"{k}.png"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """The labels of all pictures."""
    has = {"bright": 2, "striped": 3}
    lines = [
        ",".join([name(k), *(word for word, every in has.items() if k % every == 0)])
        for k in range(IMAGES)
    ]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines))
    return path


def draw(rows: Rows) -> Pixels:
    """Bright pictures where the first number is positive, striped ones where the second is."""
    return np.stack([picture(z[0] > 0, z[1] > 0, 7) for z in rows])[..., None]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    """A published generator of such pictures."""
    found = LoadedModel(
        title="pictures/1",
        dataset="folder:pictures",
        image_shape=(1, SIDE, SIDE),
        latent=Latent(width=WIDTH, prior="normal"),
        draw=draw,
    )
    monkeypatch.setattr(loaded_model, "load", lambda *_: found)
    return found


def call(labels: Path, *flags: str) -> int:
    return main(["attributes", "models/pictures/1", "--device=cpu", f"--labels={labels}", *flags])


@pytest.mark.usefixtures("model")
def test_own_labels_become_directions(
    folder: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "attributes.json"
    assert call(labels, f"--data-dir={folder}", "--count=400", f"--out={out}") == 0
    output, record = capsys.readouterr().out, AttributesRecord.read(out)
    assert output.splitlines()[1].split()[-2:] == ["100.00%", "100.00%"]
    assert "accuracy: on 12 labelled images that the classifier has not seen\n" in output
    assert record is not None
    assert tuple(record.edits) == ("bright", "striped")
    assert record.feature_network
    assert record.feature_network.accuracy == 1
    assert "a linear classifier of labels.csv, fitted to 48 images, on the 64" in record.protocol
    for k, edit in enumerate(record.edits.values()):
        vector = np.array(edit.direction.vector)
        assert vector[k] > 0.9 * np.linalg.norm(vector)


@pytest.mark.usefixtures("model")
def test_what_too_few_generated_images_have_is_left_out(
    folder: Path, labels: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "MIN_EXAMPLES", 400)
    assert call(labels, f"--data-dir={folder}", "--count=400") == 0
    assert "left out: bright, striped; too few images have it, or" in capsys.readouterr().out


@pytest.mark.usefixtures("model")
def test_own_directions_are_added_to_a_card_once(
    folder: Path,
    labels: Path,
    tmp_path: Path,
    models: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = Path(shutil.copytree(models / "fashion-mnist/2", tmp_path / "fashion-mnist/2"))
    command = ["attributes", str(version), "--device=cpu", f"--labels={labels}", "--publish"]
    command += [f"--data-dir={folder}", "--count=400"]
    with monkeypatch.context() as patch:  # latents are as wide as those of the card
        patch.setattr(attributes, "measure", lambda *_: record_of(64))
        assert main(command) == 0
    assert capsys.readouterr().out.endswith(f"added to {version}\n")
    assert list(card.read(version).editable) == ["bright"]
    assert main(command) == 1  # before anything is measured
    expected = f"error: {version}: has the direction bright already, and a published one never"
    assert expected in capsys.readouterr().err


def record_of(width: int) -> AttributesRecord:
    """A record of one attribute."""
    direction = Direction(vector=[0.5] * width, gained=0.9, kept=1)
    return AttributesRecord(
        subject="by hand",
        step=None,
        dataset="folder:pictures",
        feature_network=None,
        device="CPU",
        seconds=1,
        count=400,
        protocol="by hand",
        edits={"bright": AttributeEdit(share=0.5, direction=direction, kept={})},
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("anna.png,bright", ", line 61: there is no file anna.png in "),
        ("more,bright", ", line 61: there is no file more in "),
        ("text.png,bright", ", line 61: text.png: not an image of a supported format"),
        ("1.png,bright", ", line 61: 1.png is on line 2 already"),
        ("61.png,hat", ": of its 61 images 1 have hat; 10 or more must have it, and 10 or more"),
    ],
)
@pytest.mark.usefixtures("model")
def test_the_error_names_what_is_wrong(
    folder: Path, labels: Path, line: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "text.png").write_text("no image")
    labels.write_text(f"{labels.read_text()}\n{line}\n")
    assert call(labels, f"--data-dir={folder}") == 1
    assert f"error: {labels}{words}" in capsys.readouterr().err


@pytest.mark.usefixtures("model")
def test_the_folder_of_a_published_version_must_be_named(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(labels) == 1
    assert "pictures/1: name the folder of its images by --data-dir" in capsys.readouterr().err


def test_an_attribute_that_the_generator_takes_is_refused(
    model: LoadedModel,
    labels: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sampler = AttributeSampler(("striped",), (0, 1), {"striped": frozenset()})
    monkeypatch.setattr(loaded_model, "load", lambda *_: replace(model, sampler=sampler))
    assert call(labels) == 1
    expected = f"error: {labels}: striped is an input of the generator already"
    assert expected in capsys.readouterr().err


def test_images_of_other_data_sets_are_named_by_their_indices(
    labels: Path,
    write_data: Callable[..., Path],
    tmp_path: Path,
    models: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write_data(tmp_path / "data", height=28, width=28)
    for path in [*data.iterdir()]:
        shutil.copy(path, data / path.name.replace("train", "t10k"))
    version, flags = str(models / "fashion-mnist" / "2"), [f"--labels={labels}", "--device=cpu"]
    command = ["attributes", version, *flags, f"--data-dir={data}", "--count=100"]
    rows = [f"{k},bright" if k % 2 else str(k) for k in range(40)]
    labels.write_text("\n".join(rows))
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("bright ")
    labels.write_text("\n".join([*rows, "40"]))
    assert main(command) == 1
    expected = f"error: {labels}, line 41: 40 is no index of a training image, 0 to 39\n"
    assert expected in capsys.readouterr().err
