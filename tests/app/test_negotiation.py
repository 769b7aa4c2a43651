import pytest

from app.errors import NotAcceptableError
from app.negotiation import JSON, PNG, ZIP, choose

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
    ],
)
def test_the_heaviest_offer_is_chosen(accept: str | None, chosen: str) -> None:
    assert choose(accept, OFFERED) == chosen


@pytest.mark.parametrize("accept", ["text/html", "image/webp", "image/png;q=0", "nonsense", ","])
def test_nothing_acceptable_names_the_header_and_the_offers(accept: str) -> None:
    with pytest.raises(NotAcceptableError) as refusal:
        choose(accept, (PNG, ZIP))
    (offence,) = refusal.value.errors
    assert (offence.parameter, offence.place, offence.value) == ("Accept", "header", accept)
    assert offence.allowed == "one of image/png, application/zip"
