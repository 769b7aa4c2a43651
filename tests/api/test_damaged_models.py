"""Damaged model folders: the version is not served, the others are."""

import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from fastapi.testclient import TestClient
from onnx import TensorProto, helper

from app.artifact import card
from app.artifact.card import Direction, Directions
from app.main import create_app
from app.registry.registry import Registry
from app.settings import Settings

Damage = Callable[[Path], object]


def missing_card(folder: Path) -> None:
    (folder / "card.json").unlink()


def unreadable_card(folder: Path) -> None:
    (folder / "card.json").write_text("{")


def missing_graph(folder: Path) -> None:
    (folder / "generator.onnx").unlink()


def truncated_graph(folder: Path) -> None:
    graph = (folder / "generator.onnx").read_bytes()
    (folder / "generator.onnx").write_bytes(graph[: len(graph) // 2])


def flipped_bit(folder: Path) -> None:
    graph = bytearray((folder / "generator.onnx").read_bytes())
    graph[1000] ^= 1
    (folder / "generator.onnx").write_bytes(graph)


def folder_of_another_version(folder: Path) -> None:
    folder.rename(folder.with_name("3"))


def unnumbered_folder(folder: Path) -> None:
    folder.rename(folder.with_name("latest"))


def _rewritten(folder: Path, change: Callable[[onnx.ModelProto], object]) -> None:
    """Change the model file and update the hash in the card, so that only the content is wrong."""
    model = onnx.load(folder / "generator.onnx")
    change(model)
    graph = model.SerializeToString()
    (folder / "generator.onnx").write_bytes(graph)
    described = card.read(folder)
    variant = described.variants[0].model_copy(update={"sha256": card.digest(graph)})
    card.write(described.model_copy(update={"variants": [variant]}), folder)


def not_a_graph(folder: Path) -> None:
    _rewritten(folder, lambda model: model.graph.ClearField("node"))


def fixed_batch(folder: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        dimension = model.graph.input[0].type.tensor_type.shape.dim[0]
        dimension.ClearField("dim_param")
        dimension.dim_value = 1

    _rewritten(folder, change)


def second_output(folder: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        first_layer = model.graph.node[0].output[0]
        extra = helper.make_tensor_value_info(first_layer, TensorProto.FLOAT, None)
        model.graph.output.append(extra)

    _rewritten(folder, change)


def other_name_inside(folder: Path) -> None:
    _rewritten(folder, lambda model: helper.set_model_props(model, card.metadata("shirts", 2)))


def other_width_in_card(folder: Path) -> None:
    described = card.read(folder)
    latent = described.latent.model_copy(update={"width": 63})
    card.write(described.model_copy(update={"latent": latent, "directions": None}), folder)


def direction_of_another_width(folder: Path) -> None:
    direction = Direction(vector=[1, 2, 3], gained=1, kept=1)
    directions = Directions(protocol="", attributes={"sleeves": direction})
    described = card.read(folder)
    card.write(described.model_copy(update={"directions": directions}), folder)


DAMAGES: dict[Damage, str] = {
    missing_card: "2/card.json: cannot be read: No such file",
    unreadable_card: "2/card.json: Invalid JSON",
    missing_graph: "2/generator.onnx: cannot be read: No such file",
    truncated_graph: "2/generator.onnx: has SHA-256",
    flipped_bit: "2/generator.onnx: has SHA-256",
    folder_of_another_version: "3/card.json: names digits/2 but lies in digits/3",
    unnumbered_folder: "latest/card.json: names digits/2 but lies in digits/latest",
    not_a_graph: "2/generator.onnx: onnxruntime cannot load the graph",
    fixed_batch: "2/generator.onnx: the graph's input is",
    second_output: "2/generator.onnx: the graph's output is",
    other_name_inside: "2/generator.onnx: the graph's metadata is",
    other_width_in_card: "2/generator.onnx: the graph's input is",
    direction_of_another_width: "2/card.json: directions: sleeves has 3 numbers, a latent has 64",
}


def _relabelled(folder: Path, version: int) -> None:
    """Write the version number into the metadata of a copied model file."""
    _rewritten(
        folder,
        lambda model: helper.set_model_props(model, card.metadata("digits", version)),
    )


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A models folder with an intact version 1, and a version 2 for the test to damage."""
    name = tmp_path / "digits"
    shutil.copytree(models / "digits/1", name / "1")
    shutil.copytree(models / "digits/1", name / "2")
    described = card.read(name / "1").model_copy(update={"version": 2})
    card.write(described, name / "2")
    _relabelled(name / "2", 2)
    return tmp_path


def load(folder: Path) -> Registry:
    return Registry.load(Settings(models=folder, provider="cpu"))


def test_intact_versions_are_served_and_the_highest_is_the_default(folder: Path) -> None:
    registry = load(folder)
    assert [str(version.key) for version in registry] == ["digits/1", "digits/2"]
    assert not registry.refused
    assert str(registry.find().key) == "digits/2"


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_version_is_refused_and_the_reason_logged(
    folder: Path, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    damage(folder / "digits/2")
    registry = load(folder)
    assert str(registry.find().key) == "digits/1"
    (refused,) = registry.refused
    assert DAMAGES[damage] in refused.reason
    assert refused.reason in caplog.text


def test_readiness_lists_refused_versions(folder: Path) -> None:
    flipped_bit(folder / "digits/2")
    with TestClient(create_app(Settings(models=folder))) as client:
        ready = client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["version"] == 1
    (refused,) = ready.json()["refused"]
    assert refused["folder"] == "digits/2"
    assert "has SHA-256" in refused["reason"]


def test_unfinished_publications_and_other_files_are_ignored(folder: Path) -> None:
    (folder / "digits/2").rename(folder / "digits/.part-2")
    (folder / ".hidden/1").mkdir(parents=True)
    (folder / "README").touch()
    (folder / "digits/notes.txt").touch()
    registry = load(folder)
    assert [str(version.key) for version in registry] == ["digits/1"]
    assert not registry.refused


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _: None, "models: cannot be read: No such file or directory"),
        (Path.touch, "models: cannot be read: Not a directory"),
        (Path.mkdir, "the models folder is empty"),
    ],
    ids=["no folder", "a file", "an empty folder"],
)
def test_without_a_model_the_server_is_live_but_not_ready(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    folder = tmp_path / "models"
    make(folder)
    with TestClient(create_app(Settings(models=folder))) as client:
        assert client.get("/health/live").status_code == 200
        ready, generate = client.get("/health/ready"), client.post("/generate")
        listed = client.get("/models").json()
        unknown = client.post("/generate?model=cats")
    assert ready.status_code == generate.status_code == 503
    assert "no model is served" in ready.json()["detail"]
    assert reason in ready.json()["detail"]
    assert (listed["default"], listed["models"]) == (None, [])
    assert unknown.status_code == 404


def test_the_first_model_by_name_replaces_a_missing_default(folder: Path) -> None:
    registry = Registry.load(Settings(models=folder, default_model="cats", provider="cpu"))
    assert registry.find().card.name == "digits"


def test_odd_entries_are_refused_alone_with_their_names_escaped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = Path.iterdir

    def readable(path: Path) -> Path:
        if path.name == "lost+found":  # only root may read it; tests may run as root
            raise PermissionError(13, "Permission denied")
        return path

    monkeypatch.setattr(Path, "iterdir", lambda path: entries(readable(path)))
    (folder / "lost+found").mkdir()
    (folder / "caf\udce9/1").mkdir(parents=True)  # how Python represents the byte E9
    (folder / "a\nERROR:  \x1b[31mforged/1").mkdir(parents=True)
    (folder / "digits/3").mkdir()
    (folder / "digits/3/card.json").symlink_to("caf\udce9")
    with TestClient(create_app(Settings(models=folder, provider="cpu"))) as client:
        ready, listed = client.get("/health/ready"), client.get("/models")
        index = client.post("/v2/repository/index")
        assert client.post("/generate?model=digits").is_success
    expected = {
        "lost+found": "cannot be read: Permission denied",
        r"caf\xe9": "its name has characters that are not printable",
        r"a\nERROR:  \x1b[31mforged": "its name has characters that are not printable",
        "digits/3": r"/digits/3/caf\udce9",
    }
    for answer in (ready, listed):
        refused = {one["folder"]: one["reason"] for one in answer.json()["refused"]}
        assert refused.keys() == expected.keys()
        for name, reason in expected.items():
            assert reason in refused[name]
    unavailable = {
        f"{one['name']}/{one['version']}".rstrip("/")
        for one in index.json()
        if one["state"] == "UNAVAILABLE"
    }
    assert unavailable == expected.keys()
