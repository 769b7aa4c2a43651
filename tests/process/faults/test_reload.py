"""Hot reload while clients send requests.

``python -m tests.process.faults.reload`` is the long form.
"""

from pathlib import Path

import pytest

from tests.process.faults import figures, reload


@pytest.mark.parametrize("workers", [1, 2])
def test_nobody_notices_a_reload_but_by_the_version(workers: int) -> None:
    tally, _, _ = reload.run(2, workers)
    assert tally.failures == []
    assert tally.requests > 20
    assert tally.versions >= {4, 5}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_nor_does_memory_grow(workers: int) -> None:
    tally, before, after = reload.run(reload.TIMES, workers)
    assert tally.failures == []
    assert tally.versions >= set(range(4, 4 + reload.TIMES))
    assert after < 1.1 * before


def test_a_section_takes_its_own_place_among_others(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text("# Results\n")
    for title, text in (("A", "old"), ("B", r"other \1"), ("A", "new")):
        figures.keep(title, text, path)
    assert path.read_text() == "# Results\n\n## A\n\nnew\n\n## B\n\nother \\1\n"
