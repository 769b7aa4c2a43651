from typing import Any

import pytest

from app.api.schema_words import FORM, within, words

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
        ({"type": "string", "pattern": "^a$"}, "text of the form ^a$"),
        (
            {"type": "string", "pattern": "^a+$", "examples": ["aa", "a"]},
            "text like aa, of the form ^a+$",
        ),
        (
            {"type": "string", "pattern": "^a+$", "examples": ["aa"], FORM: "several a's"},
            "text like aa, of the form several a's",
        ),
        (GROUP, "a list of 1 to 16 values, each an integer from 0 to 4294967295"),
        (BODY, "a JSON object"),
        (
            {**EDIT, "minProperties": 1},
            "a JSON object of 1 to 16 values, each a number from -5 to 5",
        ),
        (EDIT, "a JSON object of at most 16 values, each a number from -5 to 5"),
    ],
)
def test_a_schema_in_words(schema: dict[str, Any], text: str) -> None:
    assert words(schema) == text


def test_a_list_with_commas_in_words() -> None:
    four = {**GROUP, "minItems": 4, "maxItems": 4}
    expected = "4 values separated by commas, each an integer from 0 to 4294967295"
    assert words(four, separated=True) == expected


def test_a_path_follows_names_lists_references_and_optional_values() -> None:
    reference = {"$ref": "#/components/schemas/Body"}
    optional = {"anyOf": [{"type": "null"}, reference]}
    for schema in (BODY, reference, optional):
        assert within(schema, ["plus", "0"], {"Body": BODY}) == GROUP
        assert within(schema, ["plus", "7", "15"], {"Body": BODY}) == SEED
    assert within(EDIT, ["glasses"], {}) == STRENGTH
    with pytest.raises(KeyError):
        within(BODY, ["minus"], {})
