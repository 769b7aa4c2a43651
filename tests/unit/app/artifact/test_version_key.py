import pytest

from app.artifact.version_key import VersionKey


@pytest.mark.parametrize(
    ("version", "number"),
    [("1", 1), ("12", 12), ("0", None), ("01", None), ("-1", None), ("x", None), ("²", None)],
)
def test_only_a_plain_positive_number_is_a_version_number(version: str, number: int | None) -> None:
    assert VersionKey("cats", version).number == number


def test_a_key_is_the_path_below_the_models_folder() -> None:
    assert str(VersionKey("cats", "12")) == "cats/12"
