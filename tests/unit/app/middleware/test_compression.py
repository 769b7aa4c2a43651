import pytest

from app.middleware.compression import accepts_gzip


@pytest.mark.parametrize(
    "header", ["gzip", "deflate, gzip;q=0.5, br", "x-gzip", "*", "*;q=0.1", "identity;q=0, GZIP"]
)
def test_gzip_is_accepted(header: str) -> None:
    assert accepts_gzip(header)


@pytest.mark.parametrize("header", ["", "br", "gzip;q=0", "*, gzip;q=0.000", "*;q=0", "gzipped"])
def test_gzip_is_not_accepted(header: str) -> None:
    assert not accepts_gzip(header)
