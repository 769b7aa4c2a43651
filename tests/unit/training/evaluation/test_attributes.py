import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from app.artifact import card
from app.artifact.card import Direction, Latent
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents, from_seeds
from training.__main__ import main
from training.data.avatars import parts
from training.data.avatars.faces import Face, sample_face
from training.evaluation import (
    attributes,
    directions,
    features,
    loaded_model,
    recogniser,
    steering,
)
from training.evaluation.attributes import Examples
from training.evaluation.directions import Attributes
from training.evaluation.features import AVATARS, Extracted, NetworkSpec
from training.evaluation.loaded_model import LoadedModel
from training.evaluation.options import AttributesOptions
from training.evaluation.records import AttributeEdit, AttributesRecord, FeatureNetwork
from training.export.publish import export
from training.gan.conditional import Rows
from training.gan.pixels import to_pixels
from training.run.journal import Run

CPU = torch.device("cpu")

COUNT, WIDTH = 320, 8
EXTRACT = features.extract
NAMES = ("first", "second", "third")


def predict(z: Latents) -> Attributes:
    """Attributes computed from the latent itself; the first and the second are correlated."""
    return np.stack([z[:, 0] > 0.5, z[:, 1] + z[:, 0] > 0.5, z[:, 2] < -1], axis=1)


def images(first: int, count: int) -> Examples:
    z = from_seeds(range(first, first + count), WIDTH)
    return Examples(z, predict(z), WIDTH)


@pytest.fixture(scope="module")
def edits() -> dict[str, AttributeEdit]:
    return attributes.find_edits(images(0, 4000), images(4000, 4000), NAMES, predict)


def test_every_attribute_that_depends_on_the_latent_has_an_edit(
    edits: dict[str, AttributeEdit],
) -> None:
    assert tuple(edits) == NAMES
    judged = images(4000, 4000)
    for k, (name, edit) in enumerate(edits.items()):
        assert edit.share == judged.has[:, k].mean()
        assert edit.kept.keys() == {*NAMES} - {name}
        assert edit.direction.kept == pytest.approx(np.mean(list(edit.kept.values())))
        assert edit.direction.gained > 0.8
        assert min(edit.kept.values()) > 0.85


def test_a_direction_changes_only_its_attribute(edits: dict[str, AttributeEdit]) -> None:
    # z[0] grows while z[0] + z[1] is constant, and vice versa.
    expected = {"first": [1, -1, 0], "second": [0, 1, 0], "third": [0, 0, -1]}
    for name, edit in edits.items():
        vector, way = np.array(edit.direction.vector), np.array([*expected[name], *[0] * 5])
        assert vector @ way > 0.95 * np.linalg.norm(vector) * np.linalg.norm(way)


def test_strength_1_gives_an_attribute_to_half_of_the_images_without_it(
    edits: dict[str, AttributeEdit],
) -> None:
    for k, name in enumerate(NAMES):
        without = images(4000, 4000).without(k, attributes.EFFECT_IMAGES)
        step = np.array(edits[name].direction.vector, dtype=np.float32)
        assert predict(without.rows + step)[:, k].mean() == pytest.approx(0.5, abs=0.08)
        assert edits[name].direction.gained == predict(without.rows + 2 * step)[:, k].mean()


def test_only_the_latents_of_a_conditional_generator_are_edited() -> None:
    """Its attributes also depend on the class, which edits leave as it is."""

    def sight(rows: Rows) -> Attributes:
        return np.stack([rows[:, 0] + rows[:, WIDTH] > 0.5, rows[:, 1] > 0.3], axis=1)

    def examples(first: int) -> Examples:
        classes = np.eye(2, dtype=np.float32)[np.arange(2000) % 2]
        rows = np.hstack([from_seeds(range(first, first + 2000), WIDTH), classes])
        return Examples(rows, sight(rows), WIDTH)

    found = attributes.find_edits(examples(0), examples(2000), NAMES[:2], sight)
    assert tuple(found) == NAMES[:2]
    for k, edit in enumerate(found.values()):
        vector = np.array(edit.direction.vector)
        assert vector.shape == (WIDTH,)
        assert vector[k] > 0.95 * np.linalg.norm(vector)
        assert edit.direction.gained is not None
        assert edit.direction.gained > 0.8


def test_a_single_attribute_keeps_all_others() -> None:
    def sight(z: Latents) -> Attributes:
        return z[:, :1] > 0.5

    found, judged = images(0, 1000), images(1000, 1000)
    found, judged = found._replace(has=sight(found.rows)), judged._replace(has=sight(judged.rows))
    (edit,) = attributes.find_edits(found, judged, NAMES[:1], sight).values()
    assert (edit.direction.kept, edit.kept, edit.least_kept) == (1, {}, "")


def test_a_rare_or_unreachable_attribute_has_no_edit() -> None:
    def sight(z: Latents) -> Attributes:
        # All images have it; hardly any have it; half have it, but no direction adds it.
        return np.stack([z[:, 0] > -9, z[:, 0] > 3, np.abs(z[:, 0]) < 0.67], axis=1)

    found, judged = images(0, 1000), images(1000, 1000)
    found, judged = found._replace(has=sight(found.rows)), judged._replace(has=sight(judged.rows))
    assert attributes.find_edits(found, judged, NAMES, sight) == {}


# The command.


def hidden(face: Face) -> tuple[str, ...]:
    """The features that hide a beard or glasses, or are hidden by them."""
    return face.hat, face.beard, face.moustache, face.glasses


def extract_distinct(
    network: nn.Sequential, pixels: NDArray[np.uint8], spec: NetworkSpec, *_: object
) -> Extracted:
    """What ``features.extract`` returns, computed once for all images that are the same."""
    places: dict[bytes, int] = {}
    rows = [places.setdefault(image.tobytes(), len(places)) for image in pixels]
    _, first = np.unique(rows, return_index=True)
    found = EXTRACT(network, pixels[first], spec)
    return Extracted(found.features[rows], found.labels[rows])


def measure(model: LoadedModel) -> AttributesRecord:
    """The edits of ``model``, found and measured on few images, which takes less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attributes, "LENGTH_IMAGES", 80)
        patch.setattr(attributes, "EFFECT_IMAGES", 100)
        patch.setattr(directions, "BISECTIONS", 6)
        patch.setattr(features, "extract", extract_distinct)
        by = recogniser.of(model, AttributesOptions())
        return attributes.measure(model, by, CPU, COUNT)


@pytest.fixture(scope="module")
def drawer() -> LoadedModel:
    """Draws four faces: glasses if the first component is positive, a beard if the second is."""
    pytest.importorskip("python_avatars", reason="the extra 'avatars' is not installed")
    pytest.importorskip("resvg_py", reason="the extra 'avatars' is not installed")
    from training.data.avatars import rendering  # noqa: PLC0415 it needs what may not be there

    plain = next(face for face in (sample_face(0, k) for k in range(100)) if not any(hidden(face)))
    glasses, beard = {"glasses": next(iter(parts.CLEAR))}, {"beard": next(iter(parts.BEARDS))}
    looks = (plain, replace(plain, **glasses), replace(plain, **beard))
    looks = (*looks, replace(plain, **glasses, **beard))
    faces = np.stack([rendering.render(look) for look in looks]).transpose(0, 2, 3, 1)
    return LoadedModel(
        title="four",
        dataset="avatars",
        image_shape=(3, 64, 64),
        latent=Latent(width=WIDTH, prior="normal"),
        draw=lambda z: faces[(z[:, 0] > 0) + 2 * (z[:, 1] > 0)],
    )


@pytest.fixture(scope="module")
def found(drawer: LoadedModel) -> AttributesRecord:
    """The edits of ``drawer``."""
    return measure(drawer)


def test_directions_are_found_from_the_attributes_of_generated_images(
    found: AttributesRecord,
) -> None:
    assert (found.subject, found.step, found.count) == ("four", None, COUNT)
    assert found.feature_network == FeatureNetwork.of(AVATARS)
    for k, name in enumerate(("glasses", "beard")):
        vector = np.array(found.edits[name].direction.vector)
        assert vector[k] == pytest.approx(np.linalg.norm(vector), rel=0.1)
        # At twice the length at which half of the negative half of a normal becomes positive.
        assert found.edits[name].direction.gained == pytest.approx(0.823, abs=0.15)
        assert found.edits[name].share == pytest.approx(0.5, abs=0.08)
    for_card = found.directions()
    assert for_card is not None
    assert for_card.attributes["beard"] == found.edits["beard"].direction
    assert f"seeds 0 to {COUNT // 2 - 1}" in for_card.protocol
    assert f"seeds {COUNT // 2} to {COUNT - 1}" in for_card.protocol


class Blend(nn.Module):
    """Draws the faces of ``drawer`` with PyTorch, differentiably."""

    def __init__(self, faces: Pixels) -> None:
        super().__init__()
        images = torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 127.5 - 1
        self.register_buffer("images", images)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        a, b = (20 * z[:, :2]).sigmoid().T
        shares = torch.stack([(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b], dim=1)
        return torch.einsum("nk,kchw->nchw", shares, self.get_buffer("images"))


def test_the_directions_of_a_run_are_steered(
    drawer: LoadedModel, found: AttributesRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "STEPS", 5)
    monkeypatch.setattr(steering, "BATCH", 32)
    corners = np.float32([[-9, -9], [9, -9], [-9, 9], [9, 9]])
    faces = drawer.draw(np.pad(corners, ((0, 0), (0, WIDTH - 2))))
    generator = Blend(faces)
    shown = replace(
        drawer, generator=generator, draw=lambda z: to_pixels(generator, torch.from_numpy(z))
    )
    steered = measure(shown)
    assert "steered" in steered.protocol
    assert "steered" not in found.protocol
    for k, name in enumerate(("glasses", "beard")):
        vector = np.array(steered.edits[name].direction.vector)
        assert vector[k] == max(vector)
        assert steered.edits[name].direction.vector != found.edits[name].direction.vector
        assert steered.edits[name].direction.gained > 0.7


def test_the_command_prints_a_table_and_writes_the_record(
    drawer: LoadedModel,
    found: AttributesRecord,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(loaded_model, "load", lambda *_: drawer)
    monkeypatch.setattr(attributes, "measure", lambda *_: found)
    out = tmp_path / "attributes.json"
    assert main(["attributes", "models/four/1", "--device=cpu", f"--out={out}"]) == 0
    assert AttributesRecord.read(out) == found
    output = capsys.readouterr().out
    assert output.startswith(f"four: {COUNT} images\n")
    for name, edit in found.edits.items():
        assert f"{name:14}{edit.share:8.1%}{edit.direction.gained:8.1%}" in output
        assert f"{edit.direction.kept:8.1%}  {edit.least_kept}\n" in output
    assert found.edits.keys() == {"glasses", "beard"}
    assert output.endswith(f"written to {out}\n")


def test_the_edits_of_a_published_version_are_only_printed(
    drawer: LoadedModel,
    found: AttributesRecord,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(loaded_model, "load", lambda *_: replace(drawer, step=None))
    monkeypatch.setattr(attributes, "measure", lambda *_: found)
    assert main(["attributes", str(tmp_path), "--device=cpu"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"four: {COUNT} images\n")
    assert "written to" not in output
    assert list(tmp_path.iterdir()) == []


def test_a_generator_of_classes_has_no_attributes(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["attributes", str(models / "fashion-mnist" / "2"), "--device=cpu"]) == 1
    assert "no attributes that could be edited" in capsys.readouterr().err


# The card.


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A run whose images can be edited."""
    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    assert written(folder, step_of(folder)).directions() is not None
    return folder


def step_of(run: Path) -> int:
    return int(Run(run).epochs()[-1]["step"])


def written(run: Path, step: int, **changed: object) -> AttributesRecord:
    """Writes a record of one edit, of ``step``, into the folder of ``run``."""
    vector = [round(0.1 * k, 4) for k in range(Run(run).config().latent_dim)]
    edit = AttributeEdit(
        share=0.4,
        direction=Direction(vector=vector, gained=0.9, kept=0.8),
        kept={"hat": 0.7, "beard": 0.9},
    )
    found = AttributesRecord(
        subject=str(run),
        step=step,
        dataset="avatars",
        feature_network=FeatureNetwork.of(AVATARS),
        device="CPU",
        seconds=1,
        count=100,
        protocol="by hand",
        edits={"glasses": edit},
    ).model_copy(update=changed)
    found.write(Run(run).edits)
    return found


def test_directions_of_the_same_checkpoint_are_added_to_the_card(run: Path, tmp_path: Path) -> None:
    place = export(run, "mine", 1, tmp_path / "models")
    found = AttributesRecord.read(Run(run).edits)
    assert found is not None
    assert card.read(place).directions == found.directions()
    assert loaded_model.load(place, CPU).directions == found.directions()


def test_directions_of_another_step_are_ignored_with_a_message(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = step_of(run)
    written(run, step - 1)
    place = export(run, "mine", 1, tmp_path / "models")
    assert card.read(place).directions is None
    expected = f"{Run(run).edits}: ignored, because it is of step {step - 1}, not of step {step}\n"
    assert expected in capsys.readouterr().out


def test_without_edits_the_card_has_no_directions(run: Path, tmp_path: Path) -> None:
    written(run, step_of(run), edits={})
    assert card.read(export(run, "mine", 1, tmp_path / "models")).directions is None


def test_a_damaged_record_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Run(run).edits.write_text("{")
    call = ["export", str(run), "--name=mine", "--version=1", f"--models={tmp_path / 'models'}"]
    assert main(call) == 1
    assert f"error: {Run(run).edits}: " in capsys.readouterr().err
