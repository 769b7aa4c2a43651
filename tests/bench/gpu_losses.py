"""Compares loss curves of training on a GPU with those of a plain loop, over 200 steps."""

from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from tests.bench.gpu_training import Bench
from tests.bench.rows import Row
from tests.bench.train import endless, plain_gan, plain_step
from training.config import Config
from training.gan.gan import Gan
from training.loop import device
from training.loop.epochs import TrainingData, train
from training.presets import Preset

PARTS = 4
Curves = NDArray[np.float64]
"""Mean losses of discriminator and generator in each part of the steps: ``(parts, 2)``."""


def curves(bench: Bench, preset: Preset) -> Iterator[Row]:
    """Differences of our losses from the plain loop's, and of the plain loop's between two seeds.

    The latter is the noise level: another seed means other weights, latents and batches. Our run
    and the plain loop start with equal weights, but also differ in latents and batches.
    """
    config, steps = bench.config(preset), 8 if bench.quick else 200
    pixels = _ramps(steps * config.batch_size, bench.pixels(config).shape[1:])
    reseeded = config.model_copy(update={"seed": config.seed + 1})
    plain = _plain(config, pixels, bench.where, steps)
    compared = {
        "ours": _ours(config, pixels, bench.where, steps),
        "another seed": _plain(reseeded, pixels, bench.where, steps),
    }
    for name, found in compared.items():
        for k, player in enumerate(("D", "G")):
            difference = 100 * float(np.abs(found[:, k] / plain[:, k] - 1).max())
            note = f"{_text(found[:, k])} compared with {_text(plain[:, k])}"
            yield Row(
                f"{preset}, {steps} losses",
                f"{name}: {player}, largest difference",
                difference,
                "%",
                note,
            )


def _ours(config: Config, pixels: np.ndarray, where: torch.device, steps: int) -> Curves:
    gan = Gan(config, pixels.shape[1:], where)
    resident = device.place_images(pixels, where)
    reports = list(train(gan, TrainingData(resident), steps, steps // PARTS))
    # Each report has means since the start of the epoch, and the epoch is as long as the run.
    sums = [(r.step * r.discriminator_loss, r.step * r.generator_loss) for r in reports[:PARTS]]
    return np.diff(np.array(sums), axis=0, prepend=0) / (steps // PARTS)


def _plain(config: Config, pixels: np.ndarray, where: torch.device, steps: int) -> Curves:
    torch.manual_seed(config.seed)
    gan, batches = plain_gan(config, pixels, where), endless(pixels, config.batch_size)
    found = [plain_step(gan, next(batches).to(where)) for _ in range(steps)]
    losses = np.array([(step["discriminator"], step["generator"]) for step in found])
    return cast("Curves", losses.reshape(PARTS, -1, 2).mean(axis=1))


def _ramps(count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Images that get brighter to the right: a generator can learn these, unlike plain noise."""
    noise = np.random.default_rng(0).integers(0, 128, (count, *shape), dtype=np.uint8)
    return noise + np.linspace(0, 127, shape[-1]).astype(np.uint8)


def _text(curve: NDArray[np.float64]) -> str:
    return " ".join(f"{value:.2f}" for value in curve)
