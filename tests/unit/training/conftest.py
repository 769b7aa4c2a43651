"""A tiny data set, the command line on it, one finished run and tiny networks."""

import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tests import tiny_run
from training.__main__ import main, parser
from training.config import Config
from training.gan.gan import Gan
from training.loop import recorder
from training.loop.trial import NetworkSize, Trial


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    # The number of threads decides in which order sums are computed. With one thread, equal runs
    # have equal bits on every machine.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1, user_api="blas"):  # NumPy's and SciPy's
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def _few_images() -> Iterator[None]:
    """Calibrate, export and score with few images, which otherwise take most of a tiny run."""
    with pytest.MonkeyPatch.context() as patch:
        tiny_run.shorten_calibration(patch)
        tiny_run.shorten_publication(patch)
        patch.setattr("training.evaluation.scoring.SAMPLES", 200)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_trial() -> Iterator[None]:
    """Do not try a run out, which takes longer than a tiny run; test_banner.py tests the trial."""
    size = NetworkSize(parameters=1, mflop=1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.loop.fit.trial", lambda *_: Trial(size, size, seconds=0.01))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_parser() -> Iterator[None]:
    """Make the parser of the command line once, not for each of a thousand commands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.__main__.parser", functools.cache(parser))
        yield


@pytest.fixture(scope="session", autouse=True)
def _every_epoch_is_looked_at() -> Iterator[None]:
    # Otherwise the time would decide which epochs have samples and checkpoints.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "LOOKS_SHARE", math.inf)
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_curves() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        tiny_run.skip_curves(patch)
        yield


@pytest.fixture(scope="session")
def encode() -> Callable[[NDArray[np.uint8]], bytes]:
    """The content of an IDX file with an array."""
    return tiny_run.encode_idx


@pytest.fixture(scope="session")
def write_data() -> Callable[..., Path]:
    """Writes a data set of random images into a folder."""
    return tiny_run.write_data


@pytest.fixture(scope="session")
def tiny_flags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The flags of a run of two epochs of five steps, which takes a fraction of a second."""
    return tiny_run.tiny_flags(tiny_run.write_data(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="session")
def fit(tiny_flags: list[str]) -> Callable[..., int]:
    """Runs ``fit`` in a folder through the command line: the tiny run, with further flags."""

    def fitted(out: Path, *flags: object) -> int:
        return main(["fit", "--out", str(out), *tiny_flags, *map(str, flags)])

    return fitted


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, fit: Callable[..., int]) -> Path:
    """The folder of the tiny run, trained to its end without interruption. Read only."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert fit(out) == 0
    return out


@pytest.fixture(scope="session")
def make_gan() -> Callable[..., Gan]:
    """Makes tiny networks for grey images of 16×16 on the CPU."""

    def made(**options: object) -> Gan:
        tiny = {
            "batch_size": 4,
            "latent_dim": 4,
            "generator_filters": 2,
            "discriminator_filters": 2,
            "batch_norm": True,
            "r1_gamma": 0.0,
            "decay_from": 1.0,
            "precision": "fp32",
        }
        config = Config.model_validate({**tiny, **options})
        return Gan(config, (1, 16, 16), torch.device("cpu"))

    return made
