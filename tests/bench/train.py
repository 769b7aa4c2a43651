"""Images per second of training, compared with a plain loop, in alternating rounds.

    python -m tests.bench.train [--preset keras-28] [--batch-size 128] [--out result.json]

The plain loop trains the same networks in the way of PyTorch's DCGAN example: a DataLoader that
fetches image by image, float32, PyTorch's default layouts and Adam, a backward pass for each half
of the discriminator's loss, and ``.item()`` for every loss at every step. The images are random:
speed does not depend on their content.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from app.runtime.cpus import available
from training.config import Config, from_flags
from training.gan.gan import Gan
from training.image_size import ImageSize
from training.loop import device
from training.loop.epochs import Control, TrainingData, train

IMAGES = 16_384
ENDLESS = 2**40
Side = Callable[[int], int]
"""Trains for at least the given number of steps, waits for the device, and returns the number."""


def main() -> None:
    options = arguments()
    torch.set_num_threads(available())
    where = device.resolve("auto")
    config = from_flags({"preset": options.preset, "batch_size": options.batch_size})
    pixels = noise(config, IMAGES)
    sides = {
        "ours": ours(config, pixels, where, options.steps),
        "plain": plain(config, pixels, where),
    }
    for side in sides.values():
        speed(side, options.steps, config.batch_size)  # warms up
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(options.rounds):
        for name, side in sides.items():
            speeds[name].append(speed(side, options.steps, config.batch_size))
        figures = ", ".join(f"{name} {found[-1]:.0f}" for name, found in speeds.items())
        print(f"round {number + 1}: {figures} images/s")
    report(options, speeds, device.describe(where, config.precision))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="keras-28")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60, help="steps of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    return parser.parse_args()


def report(options: argparse.Namespace, speeds: dict[str, list[float]], where: str) -> None:
    medians = {name: median(found) for name, found in speeds.items()}
    ratio = medians["ours"] / medians["plain"]
    print(f"{options.preset}, batches of {options.batch_size}, on {where}")
    print(f"{'':8}{'images/s':>10}")
    for name, speed in medians.items():
        print(f"{name:8}{speed:10.0f}")
    print(f"{'ratio':8}{ratio:10.2f}")
    if options.out:
        setup = {"device": where, "preset": options.preset, "batch_size": options.batch_size}
        result = {**setup, "images_per_second": medians, "ratio": ratio, "rounds": speeds}
        options.out.write_text(json.dumps(result, indent=2) + "\n")


def noise(config: Config, count: int) -> np.ndarray:
    """Random images in the size of a preset, uint8 ``(count, channels, height, width)``."""
    shape = (3, 64, 64) if config.image_size == ImageSize.square(64) else (1, 28, 28)
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def speed(side: Side, steps: int, batch_size: int) -> float:
    """Images per second."""
    began = time.perf_counter()
    done = side(steps)
    return done * batch_size / (time.perf_counter() - began)


def ours(config: Config, pixels: np.ndarray, where: torch.device, every: int) -> Side:
    device.tune_convolutions(where)
    gan = Gan(config, pixels.shape[1:], where)
    data = TrainingData(device.place_images(pixels, where, print))
    reports = train(gan, data, ENDLESS, every, Control(print))

    def side(steps: int) -> int:
        first = gan.step
        while gan.step < first + steps:
            next(reports)  # it reads the losses, which waits for a GPU
        return gan.step - first

    return side


def plain(config: Config, pixels: np.ndarray, where: torch.device) -> Side:
    gan = plain_gan(config, pixels, where)
    batches = endless(pixels, config.batch_size)
    next(batches)  # starts the workers before the clock runs

    def side(steps: int) -> int:
        for _ in range(steps):
            plain_step(gan, next(batches).to(where))
        return steps

    return side


def plain_gan(config: Config, pixels: np.ndarray, where: torch.device) -> Gan:
    """Our networks with PyTorch's own Adam, for ``plain_step``."""
    plain_config = config.model_copy(update={"average_decay": 0.0, "precision": "fp32"})
    gan = Gan(plain_config, pixels.shape[1:], where)
    for name in ("generator", "discriminator"):
        network = getattr(gan, name).to(memory_format=torch.contiguous_format)
        rate, betas = getattr(config, f"{name}_lr"), (config.beta1, config.beta2)
        setattr(gan, f"{name}_adam", torch.optim.Adam(network.parameters(), rate, betas))
    return gan


class OneByOne(Dataset[Tensor]):
    """Images as torchvision returns them: one by one, float tensors in [-1, 1]."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        image = torch.from_numpy(self.pixels[index]).float().div(255)  # ToTensor
        return image.sub(0.5).div(0.5)  # Normalize(0.5, 0.5)


def endless(pixels: np.ndarray, batch_size: int) -> Iterator[Tensor]:
    workers = min(2, os.cpu_count() or 1)  # the example's default
    loader = DataLoader(
        OneByOne(pixels), batch_size, shuffle=True, drop_last=True, num_workers=workers
    )
    while True:
        yield from loader


def plain_step(gan: Gan, real: Tensor) -> dict[str, float]:
    generator, discriminator = gan.generator, gan.discriminator
    criterion = nn.BCEWithLogitsLoss()
    ones = torch.ones(len(real), 1, device=real.device)
    gan.discriminator_adam.zero_grad()
    logits = discriminator(real)
    loss_real = criterion(logits, ones)
    loss_real.backward()
    real_mean = logits.sigmoid().mean().item()
    z = torch.randn(len(real), gan.config.latent_dim, device=real.device)
    fake = generator(z)
    logits = discriminator(fake.detach())
    loss_fake = criterion(logits, 1 - ones)
    loss_fake.backward()
    fake_mean = logits.sigmoid().mean().item()
    gan.discriminator_adam.step()
    gan.generator_adam.zero_grad()
    logits = discriminator(fake)
    loss = criterion(logits, ones)
    loss.backward()
    gan.generator_adam.step()
    return {
        "discriminator": (loss_real + loss_fake).item(),
        "generator": loss.item(),
        "real": real_mean,
        "fake": fake_mean,
        "fake_again": logits.sigmoid().mean().item(),
    }


if __name__ == "__main__":
    main()
