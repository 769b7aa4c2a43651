"""A tiny data set, the command line on it, and one finished run to look at."""

import gzip
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.__main__ import main
from training.config import Config
from training.gan.step import Trainer


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    # Sums are split by threads: with one, equal runs have equal bits wherever the tests run.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def encode() -> Callable[[NDArray[np.uint8]], bytes]:
    """An array as the content of an IDX file."""

    def encoded(array: NDArray[np.uint8]) -> bytes:
        shape = struct.pack(f">{array.ndim}I", *array.shape)
        return bytes((0, 0, 8, array.ndim)) + shape + array.tobytes()

    return encoded


@pytest.fixture(scope="session")
def write_data(encode: Callable[[NDArray[np.uint8]], bytes]) -> Callable[..., Path]:
    """Writes a data set of random images of a shape, one file gzipped and one not."""

    def written(folder: Path, count: int = 40, height: int = 16, width: int = 16) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(count)
        images = random.integers(0, 256, (count, height, width), dtype=np.uint8)
        (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(encode(images)))
        labels = np.zeros(count, dtype=np.uint8)
        (folder / "train-labels-idx1-ubyte").write_bytes(encode(labels))
        return folder

    return written


@pytest.fixture(scope="session")
def tiny_flags(
    tmp_path_factory: pytest.TempPathFactory, write_data: Callable[..., Path]
) -> list[str]:
    """The flags of a run of two epochs of five steps, in a fraction of a second."""
    flags = {
        "data-dir": write_data(tmp_path_factory.mktemp("data")),
        "epochs": 2,
        "batch-size": 8,
        "latent-dim": 4,
        "generator-filters": 2,
        "discriminator-filters": 2,
        "decay-from": 1,
        "device": "cpu",
        "threads": 1,
    }
    return [part for flag, value in flags.items() for part in (f"--{flag}", str(value))]


@pytest.fixture(scope="session")
def fit(tiny_flags: list[str]) -> Callable[..., int]:
    """``fit`` in a folder by the command line: the tiny run, with further flags on top."""

    def fitted(out: Path, *flags: object) -> int:
        return main(["fit", "--out", str(out), *tiny_flags, *map(str, flags)])

    return fitted


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, fit: Callable[..., int]) -> Path:
    """The folder of the tiny run, trained to its end without a break. Only for reading."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert fit(out) == 0
    return out


@pytest.fixture(scope="session")
def make_trainer() -> Callable[..., Trainer]:
    """A trainer of tiny networks for grey images of 16×16 on the CPU."""

    def made(**options: object) -> Trainer:
        tiny = {
            "batch_size": 4,
            "latent_dim": 4,
            "generator_filters": 2,
            "discriminator_filters": 2,
            "decay_from": 1.0,
            "precision": "fp32",
        }
        config = Config.model_validate({**tiny, **options})
        return Trainer(config, (1, 16, 16), torch.device("cpu"))

    return made
