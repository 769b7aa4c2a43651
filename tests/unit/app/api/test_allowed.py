import json
from typing import Any

import pytest

from app.api.allowed import told, within, words

SEED = {"type": "integer", "minimum": 0.0, "maximum": 4294967295.0}
GROUP = {"type": "array", "items": SEED, "minItems": 1, "maxItems": 16}
BODY = {"type": "object", "properties": {"plus": {"type": "array", "items": GROUP, "maxItems": 8}}}

STRENGTH = {"type": "number", "minimum": -5, "maximum": 5}
EDIT = {"type": "object", "additionalProperties": STRENGTH, "maxProperties": 16}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (SEED, "an integer from 0 to 4294967295"),
        ({"type": "number", "minimum": 0, "maximum": 0.25}, "a number from 0 to 0.25"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 2}, "a number above 0 and at most 2"),
        ({"type": "integer", "enum": [1, 9]}, "one of 1, 9"),
        ({"type": "boolean"}, "true or false"),
        ({"type": "string", "pattern": "^a$"}, "text like ^a$"),
        (
            {"type": "string", "pattern": "^a+$", "examples": ["aa", "a"]},
            "text like aa, of the form ^a+$",
        ),
        (GROUP, "a list of 1 to 16 values, each an integer from 0 to 4294967295"),
        (BODY, "a JSON object"),
        (EDIT, "a JSON object of at most 16 values, each a number from -5 to 5"),
    ],
)
def test_a_schema_in_words(schema: dict[str, Any], text: str) -> None:
    assert words(schema) == text


def test_a_list_that_is_one_text() -> None:
    four = {**GROUP, "minItems": 4, "maxItems": 4}
    expected = "4 values separated by commas, each an integer from 0 to 4294967295"
    assert words(four, separated=True) == expected


def test_a_path_leads_through_names_lists_references_and_what_may_be_left_out() -> None:
    reference = {"$ref": "#/components/schemas/Body"}
    optional = {"anyOf": [{"type": "null"}, reference]}
    for schema in (BODY, reference, optional):
        assert within(schema, ["plus", "0"], {"Body": BODY}) == GROUP
        assert within(schema, ["plus", "7", "15"], {"Body": BODY}) == SEED
    assert within(EDIT, ["glasses"], {}) == STRENGTH
    with pytest.raises(KeyError):
        within(BODY, ["minus"], {})


DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize("value", [None, 3, "x", "²", [1, [2]], {"a": None}, 0.5, True])
def test_a_short_value_is_told_as_it_is(value: object) -> None:
    assert told(value) is value


@pytest.mark.parametrize(
    "value",
    [float("nan"), [float("inf")], "\ud800", {"\ud800": 1}, "x" * 1000, [7] * 1000, DEEP],
    ids=["nan", "inf", "half", "half a name", "long", "long list", "deep"],
)
def test_what_an_answer_cannot_carry_is_told_as_short_text(value: object) -> None:
    text = told(value)
    assert isinstance(text, str)
    assert len(json.dumps(text, ensure_ascii=False).encode()) < 100


def test_bytes_are_told_as_text() -> None:
    assert told(b"plus=1\xff") == "plus=1�"
