import pytest

from app.middleware.quality_values import parse


@pytest.mark.parametrize(
    ("header", "qualities"),
    [
        ("gzip", {"gzip": 1}),
        ("GZIP;Q=0.5, br ; q=.25,*;q=0", {"gzip": 0.5, "br": 0.25, "*": 0}),
        ("a;q=0.2, a;q=0.7, a;q=0.1", {"a": 0.7}),
        ("a;q=7, b;q=-1, c;q=nan, d;q=1e-3, e;q=", {"a": 1, "b": 0, "c": 0, "d": 0, "e": 0}),
        ("a;level=1;q=0.3, a", {"a;": 0.3, "a": 1}),
        ("a;q=0.3;ext=1", {"a": 0.3}),
        ('a;title="b, c;q=0";q=0.2', {"a;": 0.2}),
    ],
)
def test_every_item_has_a_quality(header: str, qualities: dict[str, float]) -> None:
    assert parse(header) == qualities
