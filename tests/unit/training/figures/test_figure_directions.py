import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from app.artifact import card
from app.imaging.sheets import Pixels
from training.__main__ import main
from training.evaluation import loaded_model
from training.evaluation.records import DirectionsRecord
from training.export.publish import export
from training.figures import canvas, directions
from training.run.journal import Run

CPU = torch.device("cpu")
SIDE, SCALE = 16, 2
METHODS = ("sefa", "pca")


@pytest.fixture(autouse=True)
def _few_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directions, "SEEDS", 256)


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def clothes(models: Path, tmp_path: Path) -> Path:
    """A copy of a conditional version that is published, without its directions."""
    folder = Path(shutil.copytree(models / "fashion-mnist/3", tmp_path / "fashion-mnist/3"))
    card.write(card.read(folder).model_copy(update={"directions": None}), folder)
    return folder


def call(folder: Path, *flags: str) -> int:
    return main(["directions", str(folder), "--device=cpu", *flags])


def opened(path: Path) -> Pixels:
    """A PNG as grey pixels ``(h, w)``."""
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("L"))


def vectors(path: Path) -> list[list[float]]:
    """The directions in a record."""
    record = DirectionsRecord.read(path)
    assert record
    return [one.vector for one in record.found.values()]


@pytest.mark.parametrize("method", METHODS)
def test_the_directions_of_a_run_reach_the_card(
    run: Path, method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(run, f"--method={method}", "--count=2") == 0
    output, record = capsys.readouterr().out, DirectionsRecord.read(run / f"{method}.json")
    assert record is not None
    assert list(record.found) == [f"{method}_1", f"{method}_2"]
    assert [*record.table()] == output.splitlines()[:5]
    figure = run / "figures" / f"directions-{method}.png"
    assert output.endswith(f"written to {run / f'{method}.json'}\ndrawn in {figure}\n")
    place = export(run, "mine", 1, tmp_path / "models")
    described = card.read(place)
    assert described.directions == record.directions()
    assert loaded_model.load(place, CPU).directions == described.directions
    for name, one in record.found.items():
        assert described.editable[name].vector == one.vector
        assert np.linalg.norm(one.vector) == pytest.approx(1, abs=1e-3)
        assert not described.editable[name].is_measured
    assert 1 >= record.found[f"{method}_1"].share >= record.found[f"{method}_2"].share > 0


def test_the_directions_of_both_methods_are_published_together(run: Path, tmp_path: Path) -> None:
    for method in METHODS:
        assert call(run, f"--method={method}", "--count=1") == 0
    found = card.read(export(run, "mine", 1, tmp_path / "models")).directions
    assert found
    assert list(found.attributes) == ["sefa_1", "pca_1"]
    assert [part.partition(":")[0] for part in found.protocol.split("; ")[::2]] == [*METHODS]


def test_directions_of_another_checkpoint_are_ignored(run: Path, tmp_path: Path) -> None:
    assert call(run, "--count=1") == 0
    record = DirectionsRecord.read(Run(run).directions("sefa"))
    assert record
    assert record.step
    record.model_copy(update={"step": record.step - 1}).write(Run(run).directions("sefa"))
    assert card.read(export(run, "mine", 1, tmp_path / "models")).directions is None


def test_a_published_version_has_the_directions_of_its_run(run: Path, tmp_path: Path) -> None:
    place = export(run, "mine", 1, tmp_path / "models")
    for method in METHODS:
        of_run, of_version = tmp_path / "run.json", tmp_path / "version.json"
        for folder, out in ((run, of_run), (place, of_version)):
            flags = (f"--method={method}", "--count=3", f"--figure={tmp_path / 'figure.png'}")
            assert call(folder, f"--out={out}", *flags) == 0
        first, second = map(vectors, (of_run, of_version))
        np.testing.assert_allclose(first, second, atol=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_publish_adds_directions_to_a_card_once(
    clothes: Path, method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, flags = card.read(clothes), (f"--method={method}", f"--figure={tmp_path / 'a.png'}")
    assert call(clothes, *flags) == 0  # it only looks
    assert card.read(clothes) == before
    assert call(clothes, *flags, "--publish") == 0
    assert capsys.readouterr().out.endswith(f"added to {clothes}\n")
    after = card.read(clothes)
    assert list(after.editable) == [f"{method}_{k}" for k in range(1, 6)]
    assert after.model_copy(update={"directions": None}) == before
    assert call(clothes, *flags, "--publish", "--count=1") == 1
    expected = f"error: {clothes}: has the direction {method}_1 already, and a published one never"
    assert expected in capsys.readouterr().err
    assert card.read(clothes) == after


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--publish"],
            "run: has no card.json, so it is no published version, which --publish is",
        ),
        (["--count=5"], "--count 5: a latent has 4 numbers, so that there are at most as many"),
    ],
)
def test_the_error_names_what_is_wrong(
    run: Path, flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(run, *flags) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--count=0", "--count=100", "--method=ganspace", "--seed=-1"])
def test_options_are_checked_before_anything_is_loaded(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, _, value = flag.partition("=")
    assert call(Path("nowhere"), flag) == 2
    assert f"error: {name} {value}: Input should be" in capsys.readouterr().err


def test_each_row_of_the_figure_is_a_direction_and_each_column_a_strength(
    run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "figure.png"
    assert call(run, "--count=2", f"--figure={path}", "--seed=3") == 0
    model, record = loaded_model.load(run, CPU), DirectionsRecord.read(run / "sefa.json")
    assert record
    sheet, step = opened(path), (SIDE + canvas.LINE_WIDTH) * SCALE
    block = len(directions.STRENGTHS) * step - SCALE * canvas.LINE_WIDTH
    for image, z in enumerate(model.latents(range(3, 3 + directions.IMAGES))):
        for row, one in enumerate(record.found.values()):
            for column, strength in enumerate(directions.STRENGTHS):
                latent = (z + strength * np.array(one.vector)).astype(np.float32)
                left = directions.NAME_WIDTH + image * (block + directions.GAP) + column * step
                top = canvas.CAPTION_HEIGHT + row * step
                found = sheet[top : top + SIDE * SCALE : SCALE, left : left + SIDE * SCALE : SCALE]
                expected = model.draw(latent[None])[0, :, :, 0]
                assert np.abs(found.astype(int) - expected).max() <= 1
