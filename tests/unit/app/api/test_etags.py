import pytest

from app.api import etags

TAG = '"abc,d"'


@pytest.mark.parametrize(
    "told",
    [
        ['"abc,d"'],
        ['W/"abc,d"'],
        ['"x", "abc,d"'],
        ['"x","abc,d","y"'],
        ['"x"', 'W/"y", "abc,d"'],
        [',, "x" ,\t"abc,d",'],
        ["*"],
        [" * "],
    ],
)
def test_these_name_it(told: list[str]) -> None:
    assert etags.matches(told, TAG)
    assert etags.matches(told, f"W/{TAG}")


@pytest.mark.parametrize(
    "told",
    [
        [],
        [""],
        ['"abc"'],
        ['"d"'],
        ['"ABC,D"'],
        ["abc,d"],
        ['"abc,d'],
        ['abc,d"'],
        ['w/"abc,d"'],
        ['"x" "abc,d"'],
        ['"abc,d", *'],
        ['"a b", "abc,d"'],
        ['""'],
        ['"x",' * 2000 + "!"],
    ],
)
def test_these_do_not(told: list[str]) -> None:
    assert not etags.matches(told, TAG)


def test_a_tag_is_quoted_and_of_all_its_parts() -> None:
    made = etags.strong("a", 1)
    assert made == etags.strong("a", "1")
    assert len({made, etags.strong("a1"), etags.strong("a", 2), etags.strong("a", 1, "")}) == 4
    assert made[0] == made[-1] == '"'
    assert etags.matches([made], made)


def test_the_tag_depends_on_library_versions() -> None:
    assert len(etags.library_versions().split()) == 4
