"""Hot reload while clients send requests.

``python -m tests.process.faults.reload`` is the long form.
"""

from pathlib import Path

import pytest

from tests.process.faults import figures, reload


@pytest.fixture(scope="module")
def _no_trials() -> None:
    """Replaces the fixture that disables trials, which run under load here."""


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_fails_during_reloads(workers: int) -> None:
    tally, _, _ = reload.run(2, workers)
    assert tally.failures == []
    assert tally.versions >= {4, 5}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_memory_does_not_grow_over_reloads(workers: int) -> None:
    tally, before, after = reload.run(reload.TIMES, workers)
    assert tally.failures == []
    assert tally.versions >= set(range(4, 4 + reload.TIMES))
    assert after < 1.1 * before


def test_a_section_of_the_results_is_replaced_in_place(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text("# Results\n")
    for title, text in (("A", "old"), ("B", r"other \1"), ("A", "new")):
        figures.keep(title, text, path)
    assert path.read_text() == "# Results\n\n## A\n\nnew\n\n## B\n\nother \\1\n"
