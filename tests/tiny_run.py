"""A tiny data set in IDX files, and the flags of a training run on it that takes a moment."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray


def encode_idx(array: NDArray[np.uint8]) -> bytes:
    """The content of an IDX file with ``array``."""
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes((0, 0, 8, array.ndim)) + shape + array.tobytes()


def write_data(folder: Path, count: int = 40, height: int = 16, width: int = 16) -> Path:
    """Write ``count`` random images and the classes 0 to 9 in turn, one file gzipped."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count, height, width), dtype=np.uint8)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(encode_idx(images)))
    labels = np.arange(count, dtype=np.uint8) % 10
    (folder / "train-labels-idx1-ubyte").write_bytes(encode_idx(labels))
    return folder


def skip_curves(patch: pytest.MonkeyPatch) -> None:
    """Replace the curves of a run, which take longer than a tiny run; test_curves.py tests them."""
    for name in ("losses", "accuracy"):
        patch.setattr(f"training.run.curves.{name}", lambda *_: b"no picture")


def shorten_calibration(patch: pytest.MonkeyPatch) -> None:
    """Calibrate on fewer latents, which would take most of the time of a tiny run."""
    patch.setattr("training.gan.gan.CALIBRATION_SEEDS", 64)


def shorten_publication(patch: pytest.MonkeyPatch) -> None:
    """Compare fewer images of the network and of its graph, which takes most of an export."""
    patch.setattr("training.export.publish.PARITY_SEEDS", 64)


def shorten_encoder_measures(patch: pytest.MonkeyPatch) -> None:
    """Measure an encoder with a few images and steps, not for minutes."""
    for name, value in (("GENERATED", 40), ("REFINED", 3), ("STEPS", 4)):
        patch.setattr(f"training.encoder.measures.{name}", value)


def tiny_flags(data: Path) -> list[str]:
    """The flags of ``fit`` for two epochs of five steps on the images in ``data``."""
    flags = {
        "dataset": "fashion-mnist",
        "data-dir": data,
        "conditional": "none",
        "augment": "none",
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
