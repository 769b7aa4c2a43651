"""Encoders that are trained and measured in a moment."""

import pytest

from training.encoder import loop, measures, network


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "WIDTHS", (4, 8, 8))
    monkeypatch.setattr(network, "NARROW", 4)
    monkeypatch.setattr(loop, "LEARNING_RATE", 1e-2)
    for name, value in (("GENERATED", 40), ("REFINED", 3), ("STEPS", 4)):
        monkeypatch.setattr(measures, name, value)
