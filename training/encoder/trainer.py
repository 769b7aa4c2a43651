"""An encoder in training: the network, its optimiser and one training step."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from app.latent.sampling import VARIANCE
from training.encoder.network import EncoderNetwork
from training.encoder.objective import LATENTS, Reconstruction, probabilities
from training.encoder.subject import Subject
from training.errors import RunError
from training.gan import adam
from training.gan.conditional import input_rows
from training.gan.gan import random_latents
from training.gan.hardware import autocast, channels_last, to_device
from training.gan.losses import auxiliary_loss
from training.gan.pixels import scaled
from training.loop import device as devices

LEARNING_RATE, BETAS = 1e-3, (0.9, 0.99)
_CONDITION_SEEDS = 4096
"""Seeds whose classes or attributes the generated images have."""
_ROTATION, _SCALE, _SHIFT = math.radians(10), 0.1, 0.1
"""Largest changes of a real image: an angle, and shares of its size."""

Losses = Tensor
"""The mean losses of a step, (3,): latents, reconstruction, conditions."""


class Trainer:
    """Everything that a training step changes. It contains no loop."""

    def __init__(self, subject: Subject, batch_size: int, seed: int) -> None:
        """A new network for ``subject``, whose weights ``seed`` decides."""
        torch.manual_seed(seed)
        model = subject.model
        self.subject, self.batch_size = subject, batch_size
        self.step, self.seconds = 0, 0.0
        """Steps done, and the time they took."""
        network = EncoderNetwork(
            model.image_shape, model.latent.width, model.latent.prior, subject.conditions
        )
        self.network = channels_last(network).to(subject.device)
        self.adam = adam.adam(self.network, LEARNING_RATE, BETAS)
        self._conditions = self._seed_conditions()

    def _seed_conditions(self) -> Tensor | None:
        sampler = self.subject.model.sampler
        if sampler is None:
            return None
        return torch.from_numpy(sampler.from_seeds(range(_CONDITION_SEEDS))).to(self.subject.device)

    def train_step(self, *batch: Tensor) -> Losses:
        """Train for one step on generated images, and on ``batch``, the arguments of ``update``.

        The losses stay on the device.
        """
        losses = self.update(*(to_device(one, self.subject.device) for one in batch))
        self.count_step()
        return losses

    def count_step(self) -> None:
        """Count a step whose ``update`` is done or queued on the device."""
        self.step += 1

    def update(self, real: Tensor | None = None, conditions: Tensor | None = None) -> Losses:
        """The part of ``train_step`` that runs on the device, for tensors that are already there.

        ``real`` images are uint8 ``(n, c, h, w)``, and as many are generated; ``conditions``
        ``(n, k)`` are those of the real images if they are known. Nothing here waits for the
        device or branches on its results.
        """
        latents, own, images = self._generated()
        count, subject = len(images), self.subject
        if real is not None:
            images = torch.cat([images, randomly_moved(scaled(real))])
        with autocast(subject.device, "auto"):
            found = self.network(images.contiguous(memory_format=torch.channels_last))
        error = functional.mse_loss(found.latents[:count], latents)
        latent_loss = LATENTS * error / VARIANCE[subject.model.latent.prior]
        shown, condition_error = None, torch.zeros((), device=subject.device)
        if found.logits is not None and own is not None:
            shown = probabilities(found.logits.detach(), subject.exclusive)
            logits, true = found.logits[:count], own
            if conditions is not None:
                logits, true = found.logits, torch.cat([own, conditions])
            condition_error = auxiliary_loss(logits, true, subject.exclusive)
        # Of generated images the latents are known; without real ones they serve here, too.
        compared = slice(count if real is not None else 0, None)
        reconstruction = (
            Reconstruction(subject, images[compared])
            .loss(found.latents[compared], None if shown is None else shown[compared])
            .mean()
        )
        self.adam.zero_grad()
        (latent_loss + reconstruction + condition_error).backward()  # type: ignore[no-untyped-call]
        adam.step(self.adam)
        return torch.stack([latent_loss, reconstruction, condition_error]).detach()

    @torch.no_grad()
    def _generated(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """Random latents, their conditions, and their images, of whole grey levels as served."""
        latent, device = self.subject.model.latent, self.subject.device
        latents = random_latents(self.batch_size, latent.width, latent.prior, device)
        own = self._conditions
        if own is not None:
            own = own[torch.randint(len(own), (self.batch_size,), device=device)]
        with autocast(device, "auto"):
            images = self.subject.generator(input_rows(latents, own)).float()
        return latents, own, scaled(((images + 1) * 127.5).round())

    def description(self) -> dict[str, Any]:
        """How the network was trained, for its record."""
        return {
            "steps": self.step,
            "seconds": round(self.seconds, 1),
            "batch_size": self.batch_size,
            "device": devices.describe(self.subject.device, "auto"),
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the following steps."""
        device = self.subject.device
        return {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "adam": adam.state(self.adam),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned. Raises RunError if it is of another network."""
        try:
            self.step, self.seconds = state["step"], state["seconds"]
            self.network.load_state_dict(state["network"])
            adam.restore(self.adam, state["adam"])
            torch.set_rng_state(state["random"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(f"the checkpoint belongs to another encoder: {error}") from error
        if self.subject.device.type == "cuda" and state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.subject.device)


def randomly_moved(images: Tensor) -> Tensor:
    """``images``, a random half of them turned, scaled and shifted a little, as people draw them.

    The border is repeated where an image has moved away from it.
    """
    count, device = len(images), images.device
    angle, scale, across, down = (torch.rand((4, count), device=device) * 2 - 1) * (
        torch.rand(count, device=device) < 0.5
    )
    angle, scale = angle * _ROTATION, 1 + scale * _SCALE
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    # The grid goes from -1 to 1 along both sides, of whatever length these are.
    ratio = images.shape[2] / images.shape[3]
    rows = [cosine, -sine * ratio, 2 * _SHIFT * across, sine / ratio, cosine, 2 * _SHIFT * down]
    matrices = torch.stack(rows, dim=1).view(count, 2, 3)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
