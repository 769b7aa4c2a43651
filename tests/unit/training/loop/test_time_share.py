import time

import pytest

from training.loop.time_share import TimeShare


def test_work_is_due_again_when_it_has_taken_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    looks = TimeShare(0.1)
    assert looks.is_due
    now = 106.0
    looks.spent(6.0)  # since 100
    assert not looks.is_due
    now = 159.9
    assert not looks.is_due
    now = 160.0
    assert looks.is_due
