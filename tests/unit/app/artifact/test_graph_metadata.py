"""The metadata of ONNX files, compared with the library onnx."""

import onnx
import pytest
from onnx import helper

from app.artifact import graph_metadata
from app.artifact.card import CardError
from tests.versions import graph


def test_metadata_is_what_onnx_reads() -> None:
    model = graph("faces", 2)
    found = graph_metadata.read(model.SerializeToString())
    assert found == {one.key: one.value for one in model.metadata_props}
    assert found == {"name": "faces", "version": "2", "card_schema": "1"}


@pytest.mark.parametrize("metadata", [{}, {"name": "é", "long": "x" * 300}])
def test_replaced_metadata_is_what_onnx_writes(metadata: dict[str, str]) -> None:
    model = graph("faces", 2)
    content = graph_metadata.replaced(model.SerializeToString(), metadata)
    assert graph_metadata.read(content) == metadata
    del model.metadata_props[:]
    helper.set_model_props(model, metadata)
    assert onnx.load_from_string(content) == model


def test_the_same_metadata_changes_no_field() -> None:
    content = graph("faces", 2).SerializeToString()
    again = graph_metadata.replaced(content, graph_metadata.read(content))
    assert onnx.load_from_string(again) == onnx.load_from_string(content)
    assert len(again) == len(content)


@pytest.mark.parametrize("content", [b"\x72", b"\x72\x05ab", b"\x72\x02\x0a\x05"])
def test_a_truncated_file_is_refused(content: bytes) -> None:
    with pytest.raises(CardError, match="truncated"):
        graph_metadata.read(content)
