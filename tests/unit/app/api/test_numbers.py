"""Numbers in requests: text is strictly decimal, JSON has numbers of its own."""

import pytest

from app.api.numbers import decimal, integral, plain

ODD = ["1_000", "+3", "007", " 3", "3 ", "3\n", "-0", "1.", "3.0", " +0_1.0 "]


@pytest.mark.parametrize("text", ["0", "3", "1000", "4294967296", "-1"])
def test_decimal_text_is_left_to_pydantic(text: str) -> None:
    assert decimal(text) == text


@pytest.mark.parametrize("text", ODD)
def test_other_spellings_of_an_integer_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="written in decimal digits alone"):
        decimal(text)


@pytest.mark.parametrize("text", ["", "seven", "0x10", "٣", "1,2"])
def test_what_is_no_number_at_all_is_left_to_pydantic(text: str) -> None:
    assert decimal(text) == text
    assert plain(text) == text


@pytest.mark.parametrize("text", ["0", "0.5", ".5", "1.", "-1.5", "1e-05", "2E+3", "0.10"])
def test_plain_numbers_are_left_to_pydantic(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    "text", ["1_0", "+1", "01", "00.5", " 1", "1 ", "1e", ".", "-.e1", "1.2.3"]
)
def test_other_spellings_of_a_number_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="written in decimal digits"):
        plain(text)


def test_numbers_in_json_may_be_floats_without_a_fraction() -> None:
    assert [integral(one) for one in (3.0, 3.5, True, "3", None)] == [3, 3.5, True, "3", None]
    assert [decimal(one) for one in (3.0, 3, 3.5)] == [3, 3, 3.5]
    assert plain(0.5) == 0.5
