import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from app.artifact.card import Direction, Directions
from app.imaging.sheets import Pixels
from app.latent import sampling
from training.__main__ import main
from training.data import idx
from training.evaluation import loaded_model
from training.evaluation.features import AVATARS, FASHION_MNIST, NETWORKS
from training.evaluation.loaded_model import LoadedModel
from training.figures import arithmetic, canvas, figures
from training.figures import directions as figure_directions
from training.image_size import ImageSize
from training.run.journal import Run

CPU = torch.device("cpu")
SIDE, SCALE = 16, 2
NAMES = ("walk", "arithmetic", "neighbours")


@pytest.fixture(scope="module")
def data(
    write_data: Callable[..., Path],
    encode: Callable[..., bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The tiny run's data, with test images."""
    folder = write_data(tmp_path_factory.mktemp("figures"))
    test = np.random.default_rng(7).integers(0, 256, (9, SIDE, SIDE), dtype=np.uint8)
    (folder / "t10k-images-idx3-ubyte").write_bytes(encode(test))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(encode(np.zeros(9, dtype=np.uint8)))
    return folder


@pytest.fixture(scope="module")
def model(finished_run: Path) -> LoadedModel:
    return loaded_model.load_run(Run(finished_run), CPU)


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def opened(content: bytes) -> Pixels:
    """A PNG as grey pixels ``(h, w)``, of which each is as large as it was drawn."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("L"))


def cell(sheet: Pixels, row: int, column: int, left: int = 0, top: int = 0) -> Pixels:
    """One image, in its original size, of the grid whose corner is at ``left``, ``top``."""
    step = (SIDE + canvas.LINE_WIDTH) * SCALE
    down, right = top + row * step, left + column * step
    return sheet[down : down + SIDE * SCALE : SCALE, right : right + SIDE * SCALE : SCALE]


def assert_alike(image: Pixels, expected: Pixels) -> None:
    """Equal up to rounding, which depends on the batch size."""
    difference = np.abs(image.astype(int) - expected.reshape(image.shape))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.01


# The canvas.


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_every_image_between_white_lines(channels: int) -> None:
    pixels = np.arange(6 * 2 * 2 * channels, dtype=np.uint8).reshape(6, 2, 2, channels)
    sheet = canvas.grid(pixels, columns=3, scale=2)
    assert sheet.shape == (2 * (2 + 1 + 2), 2 * (2 + 1 + 2 + 1 + 2), channels)
    for k in range(6):
        top, left = 6 * (k // 3), 6 * (k % 3)
        found = sheet[top : top + 4, left : left + 4]
        np.testing.assert_array_equal(found, pixels[k].repeat(2, axis=0).repeat(2, axis=1))
    assert (sheet[4:6] == 255).all()
    assert (sheet[:, [4, 5, 10, 11]] == 255).all()


def test_a_canvas_shows_grey_and_colour() -> None:
    sheet = canvas.Canvas(30, 20)
    sheet.paste(np.full((4, 4, 1), 100, np.uint8), 0, 0)
    sheet.paste(np.full((4, 4, 3), (1, 2, 3), np.uint8), 10, 10)
    sheet.frame(10, 10, ImageSize.square(4), 1)
    pixels = np.asarray(Image.open(io.BytesIO(sheet.png())))
    assert (pixels[:4, :4] == 100).all()
    assert (pixels[10:14, 10:14] == (1, 2, 3)).all()
    edge = pixels[9:15, 9:15].reshape(-1, 3)
    assert (edge == (0xD5, 0x5E, 0)).all(axis=1).sum() == 20


# The command.


def test_the_same_seed_gives_the_same_figures(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = []
    for seed in (0, 0, 5):
        call = ["figures", str(run), f"--data-dir={data}", f"--seed={seed}", "--device=cpu"]
        assert main(call) == 0
        drawn.append([(run / "figures" / f"{name}.png").read_bytes() for name in NAMES])
    assert drawn[0] == drawn[1]
    assert all(before != after for before, after in zip(drawn[0], drawn[2], strict=True))
    assert f"written to {run / 'figures' / 'walk.png'}\n" in capsys.readouterr().out
    sheet = opened(drawn[0][0])
    assert sheet.shape == tuple(
        SCALE * (count * (SIDE + 1) - 1) for count in (figures.WALKS, figures.STEPS)
    )


def test_data_other_than_those_of_the_run_are_refused(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps({**facts, "images": 41}))
    assert main(["figures", str(run), f"--data-dir={data}", "--device=cpu"]) == 1
    assert f"error: {run}: was trained on " in capsys.readouterr().err


def test_without_test_images_the_other_figures_are_still_written(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["figures", str(run), "--device=cpu"]) == 1  # on the run's own data
    assert "has no t10k-images" in capsys.readouterr().err
    assert {path.stem for path in (run / "figures").iterdir()} == {"walk", "arithmetic"}


def test_a_folder_without_a_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["figures", str(tmp_path)]) == 1
    assert "neither a run" in capsys.readouterr().err


# The walk.


def test_a_walk_leads_from_one_seed_to_the_next(model: LoadedModel) -> None:
    sheet = opened(figures.walk(model, 3, SCALE))
    ends = model.images(2 * figures.WALKS, seed=3)
    for row in range(figures.WALKS):
        assert_alike(cell(sheet, row, 0), ends[2 * row])
        assert_alike(cell(sheet, row, figures.STEPS - 1), ends[2 * row + 1])


# Arithmetic.


def test_the_exact_result_is_in_the_middle_and_the_others_are_near_it() -> None:
    z = sampling.from_seeds(range(9), 50)
    mean = arithmetic.group_means(z)
    np.testing.assert_allclose(mean[1], (z[3] + z[4] + z[5]) / 3, rtol=1e-5, atol=1e-6)
    around = arithmetic.result_latents(z, seed=1)
    assert (around.shape, around.dtype) == ((9, 50), np.float32)
    exact = mean[0] - mean[1] + mean[2]
    np.testing.assert_allclose(around[4], exact, rtol=1e-6, atol=1e-6)
    others = np.abs(np.delete(around, 4, axis=0) - exact)
    assert 0.2 < others.max() <= 0.2501
    assert others.mean() == pytest.approx(0.125, abs=0.02)


def test_the_sheet_shows_the_sources_their_means_and_the_result(model: LoadedModel) -> None:
    sheet = opened(arithmetic.sheet(model, 2, SCALE))
    z = model.latents(range(2, 11))
    mean = arithmetic.group_means(z)
    result = model.draw(arithmetic.result_latents(z, 2))
    side, pitch = SIDE * SCALE, 68 + 28
    for k in range(9):
        left = k // 3 * pitch + (68 - side) // 2
        assert_alike(cell(sheet, k % 3, 0, left, canvas.CAPTION_HEIGHT), model.draw(z)[k])
        three = 3 * side + 2 * SCALE
        found = cell(sheet, k // 3, k % 3, 3 * pitch, len(sheet) - three)
        assert_alike(found, result[k])
    for k, image in enumerate(model.draw(mean)):
        left = k * pitch + (68 - side) // 2
        assert_alike(cell(sheet, 0, 0, left, len(sheet) - side), image)


def test_equations_of_known_classes_show_these_classes(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic, "CANDIDATES", 300)
    shown = loaded_model.load(models / "fashion-mnist" / "2", CPU)
    found = arithmetic.choose_equations(shown, seed=0)
    assert [names for names, _ in found] == list(arithmetic.EQUATIONS["fashion-mnist"])
    for names, seeds in found:
        assert len(set(seeds)) == 9
        drawn = shown.draw(shown.latents(seeds)).transpose(0, 3, 1, 2)
        labels = arithmetic.label_probabilities(FASHION_MNIST, drawn).argmax(axis=1)
        assert [FASHION_MNIST.names[k] for k in labels[::3]] == list(names)


def test_without_images_of_its_classes_an_equation_has_consecutive_seeds(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic, "CANDIDATES", 50)

    def black(z: sampling.Latents) -> Pixels:
        return np.zeros((len(z), 28, 28, 1), dtype=np.uint8)

    shown = dataclasses.replace(model, image_shape=(1, 28, 28), draw=black)
    assert shown.dataset == FASHION_MNIST.dataset
    assert arithmetic.choose_equations(shown, 6) == [(("A", "B", "C"), list(range(6, 15)))]


def test_the_probability_of_a_term_is_that_of_all_its_attributes() -> None:
    probabilities = np.full((3, len(AVATARS.names)), 0.25, dtype=np.float32)
    probabilities[1:, AVATARS.names.index("glasses")] = (0.75, 0.4)
    required = arithmetic.TERMS["glasses"]
    found = arithmetic.match_scores("glasses", probabilities, AVATARS)
    np.testing.assert_allclose(found, [0, 0.75 ** len(required), 0], rtol=1e-5)
    assert arithmetic.best_group(found) == [1]


def test_every_term_has_known_classes_or_attributes() -> None:
    assert arithmetic.EQUATIONS.keys() == NETWORKS.keys()
    for dataset, equations in arithmetic.EQUATIONS.items():
        for name in (name for names in equations for name in names):
            term = arithmetic.TERMS.get(name, {name: True})
            assert term.keys() <= {*NETWORKS[dataset].names}


# Edits.


def test_edits_are_next_to_their_images(model: LoadedModel) -> None:
    width = model.latent.width
    vectors = {"glasses": [0.5] * width, "long_hair": [-1.0] + [0.0] * (width - 1)}
    edits = {name: Direction(vector=v, gained=1, kept=1) for name, v in vectors.items()}
    sheet = opened(figures.edits(model, edits, 3, SCALE))
    z = model.latents(range(3, 3 + figures.EDITED_IMAGES))
    for row in range(figures.EDITED_IMAGES):
        steps = (z[row], z[row] + 1, z[row] - np.float32([2] + [0] * (width - 1)))
        for column, latent in enumerate(steps):
            expected = model.draw(latent[None].astype(np.float32))
            assert_alike(cell(sheet, row, column, top=canvas.CAPTION_HEIGHT), expected[0])


def test_a_published_version_has_the_figures_that_need_no_data(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(arithmetic, "CANDIDATES", 100)
    out = tmp_path / "figures"
    call = ["figures", str(models / "fashion-mnist" / "2"), f"--out={out}", "--device=cpu"]
    assert main(call) == 0
    assert {path.stem for path in out.iterdir()} == {"walk", "arithmetic"}
    assert f"written to {out / 'walk.png'}\n" in capsys.readouterr().out


def test_a_generator_with_directions_has_the_figure_of_its_edits(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = [0.5] * model.latent.width
    glasses = {"glasses": Direction(vector=vector, gained=1, kept=1)}
    others = {"sefa_1": Direction(vector=vector)}
    directions = Directions(protocol="by hand", attributes=glasses | others)
    published = dataclasses.replace(model, step=None, directions=directions)
    monkeypatch.setattr(loaded_model, "load", lambda *_: published)
    monkeypatch.setattr(figures, "find", lambda *_: None)  # it has no encoder
    call = ["figures", "models/by/1", f"--out={tmp_path}", f"--scale={SCALE}", "--seed=3"]
    assert main([*call, "--device=cpu"]) == 0
    assert {path.stem for path in tmp_path.iterdir()} == {
        "walk",
        "arithmetic",
        "edits",
        "directions",
    }
    expected = figures.edits(published, glasses, 3, SCALE)
    assert (tmp_path / "edits.png").read_bytes() == expected
    expected = figure_directions.sheet(published, others, 3, SCALE)
    assert (tmp_path / "directions.png").read_bytes() == expected


# Neighbours.


@pytest.mark.parametrize("count", [57, 2500], ids=["one block", "several blocks"])
def test_the_nearest_row_is_that_of_a_brute_force_search(count: int) -> None:
    random = np.random.default_rng(0)
    points = random.normal(100, 1, (20, 5)).astype(np.float32)
    among = random.normal(100, 1, (count, 5)).astype(np.float32)
    expected = [np.linalg.norm(among - point, axis=1).argmin() for point in points]
    np.testing.assert_array_equal(figures.nearest_rows(points, among), expected)


@pytest.mark.parametrize("split", ["t10k", "train"])
def test_each_generated_image_has_its_nearest_training_image_at_the_same_position(
    model: LoadedModel, data: Path, split: str
) -> None:
    train = idx.images(data)
    test = None if split == "train" else idx.images(data, split)
    sheet = opened(figures.neighbours(model, train, test, 4, SCALE))
    drawn = model.images(figures.ROWS * figures.COLUMNS, seed=4)
    width = SCALE * (figures.COLUMNS * (SIDE + 1) - 1)
    lefts = [k * (width + figures.GAP) for k in range(3)]
    reals = {image.tobytes() for image in idx.images(data, split)}
    for k, image in enumerate(drawn):
        place = divmod(k, figures.COLUMNS)
        real, fake, near = (cell(sheet, *place, left, canvas.CAPTION_HEIGHT) for left in lefts)
        assert real.tobytes() in reals
        assert_alike(fake, image)
        distances = np.square(train.astype(float) - image).sum(axis=(1, 2, 3))
        np.testing.assert_array_equal(near, train[distances.argmin(), 0])


def test_clothes_are_compared_by_the_features_of_the_shipped_network(model: LoadedModel) -> None:
    pixels = np.zeros((3, 1, 28, 28), dtype=np.uint8)
    shown = dataclasses.replace(model, image_shape=(1, 28, 28))
    assert figures.feature_points(shown, pixels).shape == (3, 64)
    assert figures.feature_points(model, pixels).shape == (3, 28 * 28)
