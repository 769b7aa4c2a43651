"""Training an encoder on a GPU."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.encoder import loop, subject
from training.encoder.graphed import GraphedSteps, select_step
from training.encoder.images import Images
from training.encoder.options import EncoderOptions
from training.encoder.subject import Subject
from training.encoder.trainer import Trainer
from training.gan.pixels import scaled

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def digits(gpu: torch.device, models: Path) -> Subject:
    return subject.load(models / "digits/1", gpu)


@pytest.fixture(scope="module")
def images(digits: Subject) -> Images:
    """Generated digits in place of real ones."""
    rows = digits.model.rows(range(1000))
    return Images(digits.model.images(1000), rows[:, digits.model.latent.width :])


def last_losses(made: Trainer, images: Images, steps: int) -> np.ndarray:
    reasons: list[str] = []
    reports = list(loop.train(made, images, EncoderOptions(steps=steps), notify=reasons.append))
    assert reasons == []
    last = reports[-1]
    return np.array([last.latents, last.reconstruction, last.conditions])


def test_steps_are_a_graph_that_learns_as_single_steps_do(
    digits: Subject, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Trainer(digits, 64, 0)
    assert isinstance(select_step(made, print), GraphedSteps)
    graphed = last_losses(made, images, 200)
    monkeypatch.setattr(loop, "select_step", lambda made, _: made.train_step)
    eager = last_losses(Trainer(digits, 64, 0), images, 200)
    np.testing.assert_allclose(graphed, eager, rtol=0.1)


def test_a_step_does_not_wait_for_the_gpu(digits: Subject, images: Images) -> None:
    made = Trainer(digits, 8, 0)
    assert images.conditions is not None
    pixels = torch.tensor(images.pixels[:8], device=digits.device)
    conditions = torch.tensor(images.conditions[:8], device=digits.device)
    made.update(pixels, conditions)
    torch.cuda.set_sync_debug_mode("error")
    try:
        made.update(pixels, conditions)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_same_latents_are_found_as_on_the_cpu(digits: Subject, images: Images) -> None:
    network = Trainer(digits, 8, 0).network.eval()
    pixels = scaled(torch.tensor(images.pixels[:8], device=digits.device))
    with torch.no_grad():
        found = network(pixels).latents.cpu()
        expected = network.cpu()(pixels.cpu()).latents
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)
