import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import card
from app.card import CardError


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A copy of a shipped version, to be damaged."""
    return Path(shutil.copytree(models / "fashion-mnist/1", tmp_path / "fashion-mnist/1"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / "card.json").read_text())
    change(content)
    (folder / "card.json").write_text(json.dumps(content))


def test_what_is_written_is_read(folder: Path) -> None:
    before = card.read(folder)
    card.write(before, folder)
    assert card.read(folder) == before


def test_a_graph_is_loaded_by_its_hash(folder: Path) -> None:
    (variant,) = card.read(folder).variants
    assert card.load(folder, variant) == (folder / variant.file).read_bytes()


def test_a_missing_card_is_named(folder: Path) -> None:
    (folder / "card.json").unlink()
    with pytest.raises(CardError, match=r"1/card\.json: cannot be read: No such file"):
        card.read(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\x00"])
def test_an_unreadable_card_is_named(folder: Path, content: str) -> None:
    (folder / "card.json").write_text(content)
    with pytest.raises(CardError, match=r"1/card\.json: "):
        card.read(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("latent"), "latent: Field required"),
        (lambda c: c.update(surprise=1), "surprise: Extra inputs"),
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
def test_a_card_against_the_contract_says_which_field(
    folder: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    edit(folder, change)
    with pytest.raises(CardError, match=words):
        card.read(folder)


@pytest.mark.parametrize("change", [{"name": "shirts"}, {"version": 2}])
def test_a_card_in_the_wrong_place_says_both(folder: Path, change: dict[str, Any]) -> None:
    edit(folder, lambda c: c.update(change))
    said = {"name": "fashion-mnist", "version": 1, **change}
    words = f"says {said['name']}/{said['version']} but lies in fashion-mnist/1"
    with pytest.raises(CardError, match=words):
        card.read(folder)


def test_a_missing_graph_is_named(folder: Path) -> None:
    (variant,) = card.read(folder).variants
    (folder / variant.file).unlink()
    with pytest.raises(CardError, match=r"generator\.onnx: cannot be read: No such file"):
        card.load(folder, variant)


def test_one_flipped_bit_is_found_and_both_hashes_told(folder: Path) -> None:
    (variant,) = card.read(folder).variants
    graph = bytearray((folder / variant.file).read_bytes())
    graph[len(graph) // 2] ^= 1
    (folder / variant.file).write_bytes(graph)
    words = f"has SHA-256 {card.digest(bytes(graph))}, the card says {variant.sha256}"
    with pytest.raises(CardError, match=words):
        card.load(folder, variant)
