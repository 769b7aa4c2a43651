"""Encoders that are trained and measured in a moment."""

import pytest

from tests import tiny_run
from training.encoder import loop, network


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "WIDTHS", (4, 8, 8))
    monkeypatch.setattr(network, "NARROW", 4)
    monkeypatch.setattr(loop, "LEARNING_RATE", 1e-2)
    tiny_run.shorten_encoder_measures(monkeypatch)
