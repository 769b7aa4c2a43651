"""The accuracy of the shipped feature networks on test images."""

import os
from pathlib import Path

import pytest

from training.data import idx
from training.evaluation import features
from training.evaluation.features import FASHION_MNIST, MNIST, NetworkSpec

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dcgan-server"


@pytest.mark.parametrize(
    ("count", "tolerance"),
    [(2000, 0.015), pytest.param(10_000, 0.001, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    ("spec", "least"), [(FASHION_MNIST, 0.93), (MNIST, 0.993)], ids=["fashion-mnist", "mnist"]
)
def test_a_shipped_network_is_as_accurate_as_it_says(
    spec: NetworkSpec, least: float, count: int, tolerance: float
) -> None:
    published = idx.PUBLISHED[spec.dataset]
    places = [place for place in (published.installed, CACHE / spec.dataset) if place]
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        pytest.skip(f"{spec.dataset} is neither installed nor downloaded")
    images, labels = idx.labelled(published, folder, "t10k")
    predicted = features.extract(features.load(spec), images[:count], spec).labels
    accuracy = float((predicted == labels[:count]).mean())
    assert accuracy >= least - tolerance
    assert accuracy == pytest.approx(spec.accuracy, abs=tolerance)
