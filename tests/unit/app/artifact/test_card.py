import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.artifact import card
from app.artifact.card import CardError


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A copy of a shipped version that a test may damage."""
    return Path(shutil.copytree(models / "fashion-mnist/2", tmp_path / "fashion-mnist/2"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / "card.json").read_text())
    change(content)
    (folder / "card.json").write_text(json.dumps(content))


def test_a_written_card_is_read_back(folder: Path) -> None:
    before = card.read(folder)
    card.write(before, folder)
    assert card.read(folder) == before


@pytest.fixture
def directions() -> dict[str, Any]:
    """Two attributes along axes of the latent space of the shipped model, and another direction."""
    return {
        "protocol": "two [\n1,\n2\n] axes",
        "attributes": {
            "long_sleeves": {"gained": 0.75, "kept": 0.9, "vector": [1] + [0] * 63},
            "heels": {"gained": 1, "kept": 0, "vector": [0] * 63 + [-1.5e-7]},
            "sefa_1": {"gained": None, "kept": None, "vector": [0.5] * 64},
        },
    }


def test_directions_are_read_back_and_written_on_one_line_each(
    folder: Path, directions: dict[str, Any]
) -> None:
    assert card.read(folder).editable == {}
    edit(folder, lambda c: c.update(directions=directions))
    before = card.read(folder)
    assert list(before.editable) == ["long_sleeves", "heels", "sefa_1"]
    assert before.directions
    assert list(before.directions.where(measured=True)) == ["long_sleeves", "heels"]
    assert list(before.directions.where(measured=False)) == ["sefa_1"]
    assert before.editable["heels"].vector == [0] * 63 + [-1.5e-7]
    card.write(before, folder)
    assert card.read(folder) == before
    written = (folder / "card.json").read_text()
    assert "[1.0, 0.0, " in written
    assert written.count("0.0, -1.5e-07]\n") == 1
    assert json.loads(written)["directions"] == directions


def test_a_card_without_directions_does_not_mention_them(folder: Path) -> None:
    before = json.loads((folder / "card.json").read_text())
    card.write(card.read(folder), folder)
    assert json.loads((folder / "card.json").read_text()) == before
    assert "directions" not in before


def attribute(c: dict[str, Any], name: str = "heels") -> dict[str, Any]:
    direction: dict[str, Any] = c["directions"]["attributes"][name]
    return direction


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: attribute(c)["vector"].pop(), "directions: heels has 63 numbers, a latent has "),
        (lambda c: attribute(c)["vector"].append(0), "directions: heels has 65 numbers, a latent"),
        (lambda c: attribute(c).update(vector=[]), "directions: heels has 0 numbers, a latent has"),
        (lambda c: c["latent"].update(width=65), "long_sleeves has 64 numbers, a latent has 65"),
        (lambda c: c.update(latent={}), "latent.width: Field required"),
        (lambda c: attribute(c)["vector"].__setitem__(3, float("nan")), "heels.vector.3: Input"),
        (lambda c: attribute(c)["vector"].__setitem__(3, float("inf")), "heels.vector.3: Input"),
        (lambda c: attribute(c).update(gained=1.01), "directions.attributes.heels.gained: Input"),
        (lambda c: attribute(c).pop("kept"), "heels: gained and kept must both be numbers or both"),
        (lambda c: attribute(c, "sefa_1").update(kept=1), "sefa_1: gained and kept must both be"),
        (
            lambda c: attribute(c).pop("vector"),
            "attributes.heels.vector: Field required",
        ),
        (lambda c: attribute(c).update(colour="red"), "heels.colour: Extra inputs"),
        (lambda c: c["directions"].pop("protocol"), "directions.protocol: Field required"),
        (lambda c: c["directions"].update(attributes={}), "directions.attributes: Dictionary"),
        (lambda c: c["directions"]["attributes"].update(Heels=attribute(c)), "attributes.Heels"),
        (lambda c: c["directions"]["attributes"].update({"2": attribute(c)}), "attributes.2"),
        (lambda c: c["directions"]["attributes"].update({"a" * 33: attribute(c)}), "attributes.a"),
    ],
)
def test_the_error_names_what_is_wrong_with_directions(
    folder: Path,
    directions: dict[str, Any],
    change: Callable[[dict[str, Any]], object],
    words: str,
) -> None:
    edit(folder, lambda c: c.update(directions=directions))
    edit(folder, change)
    with pytest.raises(CardError, match=rf"2/card\.json: .*{words}"):
        card.read(folder)


def test_a_graph_is_loaded_by_its_hash(folder: Path) -> None:
    variant, *_ = card.read(folder).variants
    assert card.load_graph(folder, variant) == (folder / variant.file).read_bytes()


def test_the_encoder_is_written_read_back_and_loaded_by_its_hash(folder: Path) -> None:
    content = b"an encoder"
    encoder = {"file": "encoder.onnx", "sha256": card.digest(content), "size": len(content)}
    edit(folder, lambda c: c.update(encoder=encoder))
    (folder / "encoder.onnx").write_bytes(content)
    before = card.read(folder)
    card.write(before, folder)
    after = card.read(folder)
    assert after == before
    assert after.encoder is not None
    assert after.encoder.model_dump() == encoder
    assert card.load_graph(folder, after.encoder) == content
    (folder / "encoder.onnx").write_bytes(b"another")
    with pytest.raises(CardError, match=r"encoder\.onnx: has SHA-256 .* but the card says"):
        card.load_graph(folder, after.encoder)


def test_a_card_without_an_encoder_does_not_mention_it(folder: Path) -> None:
    card.write(card.read(folder), folder)
    assert "encoder" not in json.loads((folder / "card.json").read_text())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file": "../secret.onnx"}, "encoder.file"),
        ({"sha256": "00"}, "encoder.sha256"),
        ({"size": 0}, "encoder.size"),
        ({"provider": "cpu"}, "encoder.provider: Extra inputs"),
    ],
)
def test_the_error_names_the_invalid_field_of_an_encoder(
    folder: Path, change: dict[str, Any], words: str
) -> None:
    encoder = {"file": "encoder.onnx", "sha256": "0" * 64, "size": 1}
    edit(folder, lambda c: c.update(encoder={**encoder, **change}))
    with pytest.raises(CardError, match=words):
        card.read(folder)


def test_a_missing_card_is_named(folder: Path) -> None:
    (folder / "card.json").unlink()
    with pytest.raises(CardError, match=r"2/card\.json: cannot be read: No such file"):
        card.read(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\x00"])
def test_an_unreadable_card_is_named(folder: Path, content: str) -> None:
    (folder / "card.json").write_text(content)
    with pytest.raises(CardError, match=r"2/card\.json: "):
        card.read(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("latent"), "latent: Field required"),
        (lambda c: c.update(colour=1), "colour: Extra inputs"),
        (lambda c: c["latent"].update(width=0), "latent.width"),
        (lambda c: c["latent"].update(prior="cauchy"), "latent.prior"),
        (lambda c: c["image"].update(channels=2), "image.channels"),
        (lambda c: c.update(schema_version=2), "schema_version"),
        (lambda c: c.update(variants=[]), "variants"),
        (lambda c: c["variants"][0].update(file="../secret.onnx"), "variants.0.file"),
        (lambda c: c["variants"][0].update(file=".onnx"), "variants.0.file"),
        (lambda c: c["variants"][0].update(sha256="00"), "variants.0.sha256"),
        (lambda c: c.update(name="Shirts!"), "name"),
    ],
)
def test_the_error_names_the_invalid_field(
    folder: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    edit(folder, change)
    with pytest.raises(CardError, match=words):
        card.read(folder)


@pytest.mark.parametrize("change", [{"name": "shirts"}, {"version": 3}])
def test_the_error_names_a_misplaced_card_and_its_folder(
    folder: Path, change: dict[str, Any]
) -> None:
    edit(folder, lambda c: c.update(change))
    named = {"name": "fashion-mnist", "version": 2, **change}
    words = f"names {named['name']}/{named['version']} but lies in fashion-mnist/2"
    with pytest.raises(CardError, match=words):
        card.read(folder)


def test_a_missing_graph_is_named(folder: Path) -> None:
    variant, *_ = card.read(folder).variants
    (folder / variant.file).unlink()
    with pytest.raises(CardError, match=r"generator\.onnx: cannot be read: No such file"):
        card.load_graph(folder, variant)


def test_one_flipped_bit_is_detected_and_both_hashes_are_named(folder: Path) -> None:
    variant, *_ = card.read(folder).variants
    graph = bytearray((folder / variant.file).read_bytes())
    graph[len(graph) // 2] ^= 1
    (folder / variant.file).write_bytes(graph)
    words = f"has SHA-256 {card.digest(bytes(graph))}, but the card says {variant.sha256}"
    with pytest.raises(CardError, match=words):
        card.load_graph(folder, variant)


CLASSES = [{"name": "bag", "share": 0.25}, {"name": "ankle-boot", "share": 0.75}]
ATTRIBUTES = {
    "attributes": [
        {"name": "beard", "share": 0.5, "excludes": []},
        {"name": "bald", "share": 0.25, "excludes": ["long_hair"]},
        {"name": "long_hair", "share": 0.25, "excludes": ["bald"]},
    ],
    "patterns": ["0", "3", "4"],
}


def test_classes_give_the_graph_a_second_input(folder: Path) -> None:
    assert card.read(folder).inputs == {"latents": 64}
    assert card.read(folder).sampler is None
    edit(folder, lambda c: c.update(classes=CLASSES))
    found = card.read(folder)
    assert found.inputs == {"latents": 64, "classes": 2}
    assert found.sampler is not None
    assert found.sampler.names == ("bag", "ankle-boot")
    card.write(found, folder)
    assert card.read(folder) == found


def test_attributes_give_the_graph_a_second_input(folder: Path) -> None:
    edit(folder, lambda c: c.update(attributes=ATTRIBUTES))
    found = card.read(folder)
    assert found.inputs == {"latents": 64, "classes": 3}
    assert found.sampler is not None
    rows = {tuple(row) for row in found.sampler.from_seeds(range(99)).tolist()}
    assert rows == {(0, 0, 0), (1, 1, 0), (0, 0, 1)}
    card.write(found, folder)
    assert card.read(folder) == found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(classes=CLASSES[:1]), "classes: List should have at least 2 items"),
        (lambda c: c.update(classes=[*CLASSES, CLASSES[0]]), "bag is the name of more than one"),
        (lambda c: c.update(classes=[{"name": "Bag", "share": 0.5}] * 2), "classes.0.name"),
        (lambda c: c.update(classes=[{"name": "b", "share": 1.5}] * 2), "classes.0.share"),
        (
            lambda c: c.update(classes=[{"name": n, "share": 0} for n in "ab"]),
            "classes: the shares of all classes are 0",
        ),
        (lambda c: c.update(classes=CLASSES, attributes=ATTRIBUTES), "classes or attributes, not "),
        (
            lambda c: c.update(attributes={**ATTRIBUTES, "patterns": ["8"]}),
            "attributes.patterns: 8 has more bits than there are attributes, 3",
        ),
        (lambda c: c.update(attributes={**ATTRIBUTES, "patterns": []}), "attributes.patterns"),
        (
            lambda c: c.update(
                attributes={
                    "attributes": [{"name": "beard", "share": 0, "excludes": ["hat"]}],
                    "patterns": ["0"],
                }
            ),
            "attributes: beard excludes hat, which is no attribute",
        ),
        (
            lambda c: c.update(
                attributes={
                    "attributes": [{"name": "beard", "share": 0, "excludes": []}] * 2,
                    "patterns": ["0"],
                }
            ),
            "attributes: beard is the name of more than one attribute",
        ),
    ],
)
def test_the_error_names_what_is_wrong_with_classes_or_attributes(
    folder: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    edit(folder, change)
    with pytest.raises(CardError, match=rf"2/card\.json: .*{words}"):
        card.read(folder)


def test_folders_with_a_decimal_number_are_versions(tmp_path: Path) -> None:
    for name in ("10", "9", "01", "0", "1\u0663", "latest", ".part-2"):
        (tmp_path / name).mkdir()
    (tmp_path / "7").touch()
    assert card.version_numbers(tmp_path) == [9, 10]
