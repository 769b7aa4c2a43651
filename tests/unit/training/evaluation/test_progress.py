import re

import pytest

from training.evaluation.progress import bar, each, stages


def shown(capsys: pytest.CaptureFixture[str], text: str) -> list[str]:
    """The counts that the bar with ``text`` has shown, in their order."""
    output = capsys.readouterr()
    assert output.out == ""
    return re.findall(rf"{text}: .*?\| (\d/\d) ", output.err)


def test_a_bar_counts_batches(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(bar("generating")(range(0, 9, 3))) == [0, 3, 6]
    assert shown(capsys, "generating")[-1] == "3/3"


def test_a_bar_names_the_current_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(each(["walk", "edits"], lambda name: f"drawing {name}")) == ["walk", "edits"]
    error = capsys.readouterr().err
    assert error.index("drawing walk:   0%") < error.index("drawing edits: ")
    assert "2/2" in error


def test_stages_begin_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    with stages(("one", "two")) as begin:
        begin()
        begin()
    error = capsys.readouterr().err
    assert error.index("one:   0%") < error.index("two: ")
    assert "2/2" in error
