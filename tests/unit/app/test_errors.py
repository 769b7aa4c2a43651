import gc
import json
import weakref
from typing import Any

import pytest

from app.errors import json_safe

DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize("value", [None, 3, "x", "²", [1, [2]], {"a": None}, 0.5, True, [7] * 100])
def test_a_short_value_is_unchanged(value: object) -> None:
    assert json_safe(value) is value


@pytest.mark.parametrize(
    "value",
    [
        *(float("nan"), [float("inf")], "\ud800", {"\ud800": 1}, b"x" * 5000, "x" * 401),
        *([7] * 1000, {"a": ["x" * 300, "x" * 300]}, ["\n" * 300], {"x" * 401: 1}, DEEP),
    ],
    ids=[
        *("nan", "inf", "lone surrogate", "lone surrogate in a name", "long bytes", "long"),
        *("long list", "long strings", "long escapes", "long name", "deep"),
    ],
)
def test_a_value_that_json_cannot_express_becomes_short_text(value: object) -> None:
    text = json_safe(value)
    assert isinstance(text, str)
    assert len(json.dumps(text, ensure_ascii=False).encode()) < 100


def test_bytes_become_text() -> None:
    assert json_safe(b"plus=1\xff") == "plus=1�"


class Received(list[Any]):
    """A list that shows when it is freed."""


@pytest.mark.parametrize("parts", [[1], [7] * 1000, ["x" * 300] * 2, [float("nan")], [b"x"], DEEP])
def test_no_value_waits_for_the_garbage_collector(parts: list[Any]) -> None:
    value = Received(parts)
    freed = weakref.ref(value)
    gc.disable()
    try:
        json_safe([value])
        del value
        assert freed() is None
    finally:
        gc.enable()
