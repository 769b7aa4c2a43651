"""The accuracy of the shipped feature network on all test images."""

import pytest

from training.data import idx
from training.evaluation import features
from training.evaluation.features import FASHION_MNIST

INSTALLED = idx.FASHION_MNIST.installed


def test_the_shipped_network_is_as_accurate_as_it_says() -> None:
    if INSTALLED is None or not INSTALLED.is_dir():
        pytest.skip(f"Fashion-MNIST is not installed in {INSTALLED}")
    network = features.load(FASHION_MNIST)
    extracted = features.extract(network, idx.images(INSTALLED, "t10k"), FASHION_MNIST)
    accuracy = float((extracted.labels == idx.labels(INSTALLED, "t10k")).mean())
    assert accuracy >= 0.93
    assert accuracy == pytest.approx(FASHION_MNIST.accuracy, abs=0.001)
