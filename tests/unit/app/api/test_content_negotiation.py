import pytest

from app.api.content_negotiation import JSON, PNG, ZIP, choose
from app.errors import NotAcceptableError

OFFERED = (JSON, PNG, ZIP)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("image/png", PNG),
        ("IMAGE/PNG", PNG),
        ("application/zip", ZIP),
        ("image/*", PNG),
        ("image/avif,image/webp,image/*,*/*;q=0.8", PNG),
        ("text/html, */*;q=0.1", JSON),
        ("application/json;q=0.5, image/png", PNG),
        ("application/json; q=0.5 , image/png ; q=0.4", JSON),
        ("*/*, application/json;q=0", PNG),
        ("application/*;q=0.2, application/zip;q=0.3", ZIP),
        ("image/png;q=much, */*;q=0.1", JSON),
        ("image/png;q=7", PNG),
        ("", JSON),
        ("application/json;q=0, image/png;q=0.001, application/zip;Q=0.002", ZIP),
        ("application/json;q=1.0;q=0, image/png;q=0.5", JSON),
        ("application/json;q=-1, image/png;q=.5", PNG),
        ("application/json;q=nan, image/png;q=1e-3, application/zip;q=0.1", ZIP),
        ("application/json;q=inf, image/png;q=0.5", PNG),
        ("application/json;q=\u0661, image/png;q=0.5", PNG),
        ("application/json ; q=0.5\t,\timage/png ;q=0.6,,", PNG),
        ("image/png;q=0.2, application/json;q=0.1, image/png;q=0.05", PNG),
        ("application/json;charset=utf-8, image/png;q=0.5", JSON),
        ("image/png, image/png;level=1;q=0, application/json;q=0.5", PNG),
        ("image/png;level=1, image/png;q=0.1, application/json;q=0.5", JSON),
        ("image/png;level=1;q=0, image/*;q=0.5", None),
        ('image/png;title="a, b;q=0", application/json;q=0.5', PNG),
        ('image/png;title="\\"application/json", application/zip;q=0.5', PNG),
        ('application/zip, image/png;title="open, application/json', PNG),
        ("*/*;q=0.1, image/*;q=0.2, image/png;q=0, application/zip;q=0.15", ZIP),
        ("text/*, */json, *, application/zip;q=0.1", ZIP),
    ],
)
def test_the_offer_with_the_highest_quality_is_chosen(
    accept: str | None, chosen: str | None
) -> None:
    if chosen is None:
        with pytest.raises(NotAcceptableError):
            choose(accept, OFFERED)
    else:
        assert choose(accept, OFFERED) == chosen


def test_a_long_header_of_open_quotes_is_parsed_quickly() -> None:
    for text in ('"\\' * 30_000, '";,' * 20_000, "image/png;" * 6_000):
        assert choose(f"*/*;q=0.5, {text}", OFFERED)


@pytest.mark.parametrize("accept", ["text/html", "image/webp", "image/png;q=0", "nonsense", ","])
def test_the_refusal_names_the_header_and_the_offers(accept: str) -> None:
    with pytest.raises(NotAcceptableError) as refusal:
        choose(accept, (PNG, ZIP))
    (error,) = refusal.value.errors
    assert (error.parameter, error.place, error.value) == ("Accept", "header", accept)
    assert error.allowed == "one of image/png, application/zip"
