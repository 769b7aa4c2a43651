import json

import pytest

from app.api import json_text
from app.errors import ParameterError


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "null",
        '[{"a": 1}, {"a": 2}]',
        '{"a": {"a": {"a": 1}}, "b": [{"a": 1}, 2, {"a": ":"}], "c": [3, {"c": 4}], ":": "::"}',
        '{"a": NaN, "b": "\\u003a", "c": [[{"d": 1}], [{"d": 1}]]}',
    ],
)
def test_every_value_is_that_of_the_standard_library(text: str) -> None:
    assert repr(json_text.load(text.encode())) == repr(json.loads(text))
    assert repr(json_text.load(text.encode("utf-16"))) == repr(json.loads(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"n": 1, "n": 2}', "n is [1, 2] but must be given once"),
        ('{"a": {"b": 1, "\\u0062": 1}}', "b is [1, 1] but must be given once"),
        ('{"a": [1, {"b": ":", "c": 1, "c": 2, "c": 3}]}', "c is [1, 2, 3] but must be given once"),
        ('{"key": 1, "key": 2}', "key is '***' but must be given once"),
    ],
)
def test_a_name_that_occurs_twice_in_an_object_is_refused(text: str, message: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(ParameterError) as raised:
            json_text.load(text.encode(encoding))
        assert raised.value.detail == message
