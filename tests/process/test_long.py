"""Checks of single functions that take many seconds, too long for the fast tests."""

import threading
from typing import Any

import numpy as np
import pytest
import torch

from app.imaging import png
from training.config import Config
from training.gan.gan import Gan


def test_every_thread_encodes_the_same_bytes() -> None:
    """The compressor once depended on the address of the stack: one thread in 700 differed."""
    values = np.random.default_rng(2).integers(0, 3, (16, 20, 31, 1), dtype=np.uint8)
    files: set[bytes] = set()
    written = threading.Event()

    def write() -> None:
        files.add(b"".join(png.encode_all(values)))
        written.wait()  # a thread that ended would give its stack to the next one

    before = threading.stack_size(2**17)
    try:
        started = [threading.Thread(target=write) for _ in range(4000)]
        for thread in started:
            thread.start()
    finally:
        threading.stack_size(before)
        written.set()
    for thread in started:
        thread.join()
    assert len(files) == 1


def make_gan() -> Gan:
    """Tiny networks with few layers, as each of them is compiled."""
    options: dict[str, Any] = {
        "batch_size": 4,
        "latent_dim": 4,
        "generator": "paper",
        "discriminator": "paper",
        "generator_filters": 2,
        "discriminator_filters": 2,
        "batch_norm": False,
        "r1_gamma": 1,
        "penalty_interval": 2,
        "precision": "fp32",
    }
    return Gan(Config.model_validate(options), (1, 16, 16), torch.device("cpu"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")
def test_compiled_networks_learn_the_same() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (7, 4, 1, 16, 16), dtype=torch.uint8, generator=random)
    compiled, eager = make_gan(), make_gan()
    compiled.compile(backend="aot_eager")  # torch.compile without the C++ compiler
    # Both draw from the global generator, so each trains from its first step to its last.
    found = []
    for gan in (compiled, eager):
        torch.manual_seed(0)
        found.append(torch.stack([gan.train_step(batch) for batch in images]))
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(compiled.state_dict(), eager.state_dict(), rtol=1e-3, atol=1e-4)
