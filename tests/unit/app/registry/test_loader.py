"""Version folders that the loader refuses, and what it marks while a graph computes."""

import mmap
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.artifact import card
from app.artifact.card import CardError
from app.registry import loader
from app.registry.crash_log import Mark
from app.registry.loader import Marks
from app.runtime.arrays import GraphInputs
from app.runtime.engine import Engine
from app.runtime.image_encoder import ImageEncoder
from app.settings import Settings
from tests import encoding, hostile, painting
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


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """The folder of a version with an encoder."""
    painting.publish("grey", tmp_path)
    folder = tmp_path / "grey" / "1"
    encoding.add(folder)
    return folder


def test_an_encoder_is_loaded_with_its_version(encoder: Path, tmp_path: Path) -> None:
    settings = Settings(models=tmp_path, provider="cpu")
    version = loader.load(encoder, settings)
    assert version.encoder
    assert (version.encoder.images.height, version.encoder.images.width) == (3, 4)
    described = card.read(encoder)
    assert described.encoder
    hashes = {described.variants[0].sha256, described.encoder.sha256}
    assert loader.load(encoder, settings, tried=hashes).encoder
    with pytest.raises(CardError, match=r"encoder\.onnx: it has changed since it was tried"):
        loader.load(encoder, settings, tried={described.variants[0].sha256})


def test_a_damaged_encoder_keeps_its_version_out_of_service(encoder: Path, tmp_path: Path) -> None:
    settings, file = Settings(models=tmp_path, provider="cpu"), encoder / "encoder.onnx"
    described, good = card.read(encoder), file.read_bytes()
    file.write_bytes(good + b"\0")
    with pytest.raises(CardError, match=r"encoder\.onnx: has SHA-256 \w+, but the card says"):
        loader.load(encoder, settings)
    damaged = {
        b"no graph": "not an ONNX file",
        (encoder / "generator.onnx").read_bytes(): "the encoder's input is {'latents': ",
        good.replace(b"latents", b"latentz"): "the encoder's output is {'latentz': ",
        encoding.graph(described, divisor="ghost"): "onnxruntime cannot load the graph",
        encoding.graph(described, rows=2): "1 images gave 2 latents",
    }
    for content, reason in damaged.items():
        encoding.add(encoder, content)
        with pytest.raises(CardError) as refused:
            loader.load(encoder, settings)
        assert str(refused.value).startswith(f"{file}: {reason}")
    file.unlink()
    with pytest.raises(CardError, match=r"encoder\.onnx: cannot be read"):
        loader.load(encoder, settings)


def test_an_encoder_that_cannot_compute_is_refused(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no memory\nat all")

    monkeypatch.setattr(ImageEncoder, "__call__", fail)
    with pytest.raises(CardError, match=r"encoder\.onnx: the encoder does not run: no memory$"):
        loader.load(encoder, Settings(models=tmp_path, provider="cpu"))


def test_a_version_is_marked_whenever_its_graph_computes(
    encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = mmap.mmap(-1, mmap.PAGESIZE)
    marked: list[bool] = []
    compute = Engine.__call__

    def watched(engine: Engine, inputs: GraphInputs) -> NDArray[np.uint8]:
        marked.append(marks[0] != 0)
        return compute(engine, inputs)

    monkeypatch.setattr(Engine, "__call__", watched)
    settings = Settings(models=encoder.parent.parent, provider="cpu")
    loader.load(encoder, settings, marks=Marks(Mark(marks, 0), Mark(marks, 1)))
    assert marked == [True]  # for the usual colour of a border, which the encoder needs
    assert marks[0] == 0
