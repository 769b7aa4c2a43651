"""The training loop. It yields what happens and prints nothing."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from app import latents
from training import ema, losses, networks, penalties
from training.augment import augmented
from training.config import Config
from training.device import autocast, channels_last, moved
from training.errors import DataError, DivergedError, RunError
from training.group import ALONE, Group
from training.report import Report
from training.schedule import pace

_CALIBRATION_SEEDS = 4096
_CALIBRATION_BATCH = 256


class Trainer:
    """The two networks of a run, their optimisers and the averaged generator."""

    def __init__(
        self,
        config: Config,
        image_shape: tuple[int, int, int],
        device: torch.device,
        group: Group = ALONE,
    ) -> None:
        """For images of ``image_shape`` (channels, height, width); seeded by ``config``.

        One for each process of ``group``, all with the same weights. Raises ValueError for images
        that are not square or of a size no network is made for.
        """
        channels, size, width = image_shape
        if size != width:
            raise ValueError(f"images must be square, got {width}×{size}")
        torch.manual_seed(config.seed)
        self.config, self.device, self.group, self.step = config, device, group, 0
        generator = networks.generator(
            config.latent_dim, channels, size, config.generator_filters, config
        )
        discriminator = networks.discriminator(
            channels, size, config.discriminator_filters, config.spectral_norm, config
        )
        self.generator = channels_last(generator).to(device)
        self.discriminator = channels_last(discriminator).to(device)
        betas = (config.beta1, config.beta2)
        self.generator_adam = torch.optim.Adam(
            self.generator.parameters(), config.generator_lr, betas
        )
        self.discriminator_adam = torch.optim.Adam(
            self.discriminator.parameters(), config.discriminator_lr, betas
        )
        self.average = ema.averaged(self.generator, config.average_decay)

    def set_pace(self, share: float) -> None:
        """Let both players learn with ``share`` of their learning rates."""
        for adam, rate in (
            (self.generator_adam, self.config.generator_lr),
            (self.discriminator_adam, self.config.discriminator_lr),
        ):
            for group in adam.param_groups:
                group["lr"] = share * rate

    def finite(self) -> bool:
        """Whether every weight is a number."""
        weights = [*self.generator.parameters(), *self.discriminator.parameters()]
        return all(bool(tensor.isfinite().all()) for tensor in weights)

    def draw(self, count: int) -> Tensor:
        """``count`` latents of the prior, ``(count, latent_dim)``, from the device's own stream.

        They are this process's share of what the group draws.
        """
        shape = (count * self.group.size, self.config.latent_dim)
        if self.config.prior == "uniform":
            return self.group.share(torch.rand(shape, device=self.device).mul_(2).sub_(1))
        return self.group.share(torch.randn(shape, device=self.device))

    def train_step(self, real: Tensor) -> Tensor:
        """One step of both players on ``real``, uint8 ``(n, channels, height, width)``.

        ``real`` is this process's share of the batch. Returns what Report averages, as one tensor
        (4,) that is still on the device: discriminator loss, generator loss, accuracy on real and
        on generated images.
        """
        images = moved(real, self.device).float().div_(127.5).sub_(1)
        d_loss, accuracies = self._discriminator_step(images)
        g_loss = self._generator_step(images)
        self.average.update_parameters(self.generator)
        self.step += 1
        return torch.stack([d_loss, g_loss, *accuracies])

    def _discriminator_step(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        with autocast(self.device, self.config.precision):
            with torch.no_grad():
                generated = self._augmented(self.generator(self.draw(len(images))))
            images = self._augmented(images)
            real, fake = self.discriminator(images).float(), self.discriminator(generated).float()
        loss = losses.discriminator_loss(real, fake, self.config.loss)
        self._descend(loss + self._penalty(images, generated), self.discriminator_adam)
        return loss.detach(), losses.accuracies(real, fake, self.config.loss)

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor | float:
        """The gradient penalties that fall due at this step (lazily: Karras et al. 2020, 3.1)."""
        interval, gammas = (
            self.config.penalty_interval,
            (self.config.r1_gamma, self.config.r2_gamma),
        )
        if self.step % interval:
            return 0.0
        return sum(
            penalties.gradient_penalty(self.discriminator, images, interval * gamma)
            for images, gamma in zip((real, fake), gammas, strict=True)
            if gamma
        )

    def _generator_step(self, images: Tensor) -> Tensor:
        # Gradients pass through the discriminator without being gathered in its weights.
        self.discriminator.requires_grad_(False)
        with autocast(self.device, self.config.precision):
            generated = self._augmented(self.generator(self.draw(len(images))))
            fake = real = self.discriminator(generated).float()
            if self.config.loss == "relativistic":  # no other looks at real images here
                real = self.discriminator(self._augmented(images)).float()
        loss = losses.generator_loss(real, fake, self.config.loss)
        self._descend(loss, self.generator_adam)
        self.discriminator.requires_grad_(True)
        return loss.detach()

    def _descend(self, loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for parameters in optimiser.param_groups:
            self.group.average_gradients(parameters["params"])
        optimiser.step()

    def _augmented(self, images: Tensor) -> Tensor:
        return augmented(images, self.config.policy)

    def finished_generator(self) -> nn.Module:
        """The averaged generator in eval mode, as ``ema.finished`` makes it. Disturbs nothing."""
        z = latents.from_seeds(range(_CALIBRATION_SEEDS), self.config.latent_dim, self.config.prior)
        batches = torch.split(torch.from_numpy(z).to(self.device), _CALIBRATION_BATCH)
        return ema.finished(self.average, batches)

    def state_dict(self) -> dict[str, Any]:
        """All that decides the next steps: weights, optimisers, step, random state."""
        cuda = self.device.type == "cuda"
        return {
            "step": self.step,
            **{name: part.state_dict() for name, part in self._parts()},
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become what ``state_dict`` saw; the next steps are the same bits on the same device.

        Raises RunError for the state of other networks.
        """
        try:
            self.step = state["step"]
            for name, part in self._parts():
                part.load_state_dict(state[name])
            torch.set_rng_state(state["random"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(f"the checkpoint is not of these networks: {error}") from error
        if self.device.type == "cuda" and state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.device)

    def _parts(self) -> list[tuple[str, Any]]:
        names = ("generator", "discriminator", "generator_adam", "discriminator_adam", "average")
        return [(name, getattr(self, name)) for name in names]


def order(count: int, seed: int, epoch: int) -> Tensor:
    """The order of ``count`` images in ``epoch``: known without a walk through earlier epochs."""
    return torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(count))


def steps_an_epoch(count: int, batch_size: int) -> int:
    """Whole batches in ``count`` images. Raises DataError where there is none."""
    if count < batch_size:
        raise DataError(f"{count} images are less than one batch of {batch_size}")
    return count // batch_size


def train(trainer: Trainer, images: Tensor, steps: int, report_every: int = 50) -> Iterator[Report]:
    """Train on ``images``, uint8 ``(n, channels, height, width)``, until ``steps`` are done in all.

    Every process of the trainer's group calls it with the same arguments.

    Reports every ``report_every`` steps and at the end of every epoch; only then are the losses
    read, so that a GPU is never waited for in between. Goes on where the trainer stands. Raises
    DataError where there is no whole batch, DivergedError where a loss, or at the end of an epoch a
    weight, is no number.
    """
    batch = trainer.config.batch_size
    whole = steps_an_epoch(len(images), batch)
    while trainer.step < steps:
        epoch, first = divmod(trainer.step, whole)
        shuffled = order(len(images), trainer.config.seed, epoch).to(images.device)
        last = min(whole, first + steps - trainer.step)
        totals, began = torch.zeros(4, device=trainer.device), time.perf_counter()
        for k in range(first, last):
            trainer.set_pace(pace(trainer.step, steps, trainer.config.decay_from))
            rows = trainer.group.share(shuffled[k * batch : (k + 1) * batch])
            totals += trainer.train_step(images[rows])
            done = k + 1 == whole
            if done or trainer.step % report_every == 0 or trainer.step == steps:
                count = k + 1 - first
                speed = count * batch / (time.perf_counter() - began)
                means = trainer.group.mean(totals / count)
                yield _report(trainer, epoch + 1, done, means, speed)


def _report(trainer: Trainer, epoch: int, done: bool, means: Tensor, speed: float) -> Report:
    values: list[float] = means.tolist()
    if not np.isfinite(values).all():
        raise DivergedError(
            f"step {trainer.step}: the losses are {values[:2]}; the last checkpoint is untouched"
        )
    if done and not trainer.finite():  # spoilt by the last step, after its losses were known
        raise DivergedError(
            f"step {trainer.step}: the weights are no numbers; the last checkpoint is untouched"
        )
    d_loss, g_loss, real, fake = values
    return Report(epoch, trainer.step, done, d_loss, g_loss, real, fake, speed)
