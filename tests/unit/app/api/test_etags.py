import pytest

from app.api import etags

TAG = '"abc,d"'


@pytest.mark.parametrize(
    "if_none_match",
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
def test_a_matching_header(if_none_match: list[str]) -> None:
    assert etags.matches(if_none_match, TAG)
    assert etags.matches(if_none_match, f"W/{TAG}")


@pytest.mark.parametrize(
    "if_none_match",
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
def test_a_header_that_does_not_match(if_none_match: list[str]) -> None:
    assert not etags.matches(if_none_match, TAG)


def test_a_tag_is_quoted_and_depends_on_all_its_parts() -> None:
    tag = etags.strong("a", 1)
    assert tag == etags.strong("a", "1")
    assert len({tag, etags.strong("a1"), etags.strong("a", 2), etags.strong("a", 1, "")}) == 4
    assert tag[0] == tag[-1] == '"'
    assert etags.matches([tag], tag)


def test_the_tag_depends_on_library_versions() -> None:
    assert len(etags.library_versions().split()) == 4
