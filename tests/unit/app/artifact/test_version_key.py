import pytest

from app.artifact.version_key import VersionKey, printable


@pytest.mark.parametrize(
    ("version", "number"),
    [("1", 1), ("12", 12), ("0", None), ("01", None), ("-1", None), ("x", None), ("²", None)],
)
def test_only_a_plain_positive_number_is_a_version_number(version: str, number: int | None) -> None:
    assert VersionKey("cats", version).number == number


def test_a_key_is_the_path_below_the_models_folder() -> None:
    assert str(VersionKey("cats", "12")) == "cats/12"
    assert str(VersionKey("cats", "")) == "cats"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lost+found", "lost+found"),
        ("Zürich 7", "Zürich 7"),
        (b"caf\xe9".decode(errors="surrogateescape"), r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("a\nINFO: \x1b[31m", r"a\nINFO: \x1b[31m"),
        ("\u202egnp", r"\u202egnp"),
    ],
)
def test_text_with_odd_characters_is_escaped_to_one_line(text: str, expected: str) -> None:
    assert printable(text) == expected
