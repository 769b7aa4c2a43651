"""Version folders that the loader refuses."""

from pathlib import Path

import pytest

from app.artifact import card
from app.artifact.card import CardError
from app.registry import loader
from app.settings import Settings
from tests import hostile
from tests.versions import publish


def test_only_graphs_that_have_been_tried_are_loaded(tmp_path: Path) -> None:
    folder, settings = publish(tmp_path, "cats", 1), Settings(models=tmp_path, provider="cpu")
    tried = card.read(folder).variants[0].sha256
    assert loader.load(folder, settings, tried={tried}).card.name == "cats"
    with pytest.raises(CardError, match=r"generator\.onnx: it has changed since it was tried"):
        loader.load(folder, settings, tried={"another"})


def test_a_graph_that_cannot_compute_is_refused_with_its_path(tmp_path: Path) -> None:
    folder = publish(tmp_path, "cats", 1, hostile.failing("cats", 1, 2))
    with pytest.raises(CardError) as refused:
        loader.load(folder, Settings(models=tmp_path, provider="cpu"))
    first, *others = str(refused.value).splitlines()
    assert first.startswith(f"{folder / 'generator.onnx'}: the model does not run: ")
    assert not others
