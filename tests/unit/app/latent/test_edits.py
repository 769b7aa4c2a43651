import numpy as np
import pytest

from app.latent import edits, sampling
from app.latent.edits import Edit
from tests.painting import NAMES, VECTORS, WIDTH

EDIT = {"glasses": 2, "beard": -1.5}
TEXT = "beard:-1.5,glasses:2"


def test_an_edit_is_the_sum_of_vectors_times_strengths() -> None:
    z = sampling.from_seeds(range(5), WIDTH)
    edited = Edit.from_directions(VECTORS, EDIT)(z)
    assert edited.dtype == np.float32
    expected = z + 2 * VECTORS["glasses"] - 1.5 * VECTORS["beard"]
    np.testing.assert_allclose(edited, expected, atol=1e-6)


def test_equal_edits_have_equal_bits_and_text() -> None:
    z = sampling.from_seeds(range(5), WIDTH)
    strengths = {name: (-1) ** k * (k + 1) / 7 for k, name in enumerate(NAMES)}
    first = Edit.from_directions(VECTORS, strengths)
    reordered = Edit.from_directions(
        VECTORS, dict(reversed(strengths.items())) | {"beard": strengths["beard"]}
    )
    np.testing.assert_array_equal(first(z), reordered(z))
    assert first.text == reordered.text
    assert Edit.from_directions(VECTORS, EDIT).text == TEXT


@pytest.mark.parametrize("strengths", [{}, {"glasses": 0}, {"glasses": -0.0, "beard": 0.0}])
def test_an_empty_edit_changes_no_bit(strengths: dict[str, float]) -> None:
    z = sampling.from_seeds(range(5), WIDTH)
    for edit in (Edit.from_directions(VECTORS, strengths), edits.NO_EDIT):
        assert edit.text == ""
        np.testing.assert_array_equal(edit(z), z)


@pytest.mark.parametrize("strength", [5, -5, 0.1 + 0.2, 1 / 3, -1e-7, 2.5e-12, 4.999999999999999])
def test_the_text_of_an_edit_is_parsed_to_the_same_strengths(strength: float) -> None:
    strengths = {"beard": strength, "glasses": 1.0}
    text = Edit.from_directions(VECTORS, strengths).text
    assert "e" not in text.replace("beard", "").replace("glasses", "")
    assert edits.parse(text.split(",")) == strengths


def test_an_attribute_may_occur_only_once() -> None:
    with pytest.raises(ValueError, match="every attribute once"):
        edits.parse(["glasses:1", "beard:1", "glasses:1"])
