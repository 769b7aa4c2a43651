"""The trainer: the two networks of a run and what a step does with them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from app.latent import sampling
from training.config import Config
from training.errors import RunError
from training.gan import adam, averaging, losses, networks, penalties
from training.gan.augmentation import augmented, mirrored
from training.loop.device import autocast, channels_last, moved
from training.loop.distributed import ALONE, Group

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
        self.generator_adam = adam.adam(self.generator, config.generator_lr, betas)
        self.discriminator_adam = adam.adam(self.discriminator, config.discriminator_lr, betas)
        self.average = averaging.Average(self.generator, config.average_decay)
        self._share = 1.0
        self._run = _run

    def set_pace(self, share: float) -> None:
        """Let both players learn with ``share`` of their learning rates."""
        if share != self._share:
            adam.set_rate(self.generator_adam, share * self.config.generator_lr)
            adam.set_rate(self.discriminator_adam, share * self.config.discriminator_lr)
        self._share = share

    def compile(self, backend: str = "inductor") -> None:
        """Let torch.compile fuse what the networks do, but for their gradients' gradients."""
        self._run = torch.compile(_run, backend=backend)

    def finite(self) -> bool:
        """Whether every weight is a number."""
        weights = [*self.generator.parameters(), *self.discriminator.parameters()]
        return bool(torch.stack([tensor.isfinite().all() for tensor in weights]).all())

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
        values = self.update(moved(real, self.device), self.penalised)
        self.count()
        return values

    @property
    def penalised(self) -> bool:
        """Whether gradient penalties fall due at the next step.

        They do so lazily: Karras et al. 2020 (arXiv 1912.04958), section 3.1.
        """
        config = self.config
        return bool(config.r1_gamma or config.r2_gamma) and self.step % config.penalty_interval == 0

    def update(self, real: Tensor, penalised: bool) -> Tensor:
        """The device's part of ``train_step``, for ``real`` that is there.

        Nothing in it waits for the device or depends on what that computes.
        """
        images = self._scaled(real)
        d_loss, accuracies = self._discriminator_step(images, penalised)
        g_loss = self._generator_step(images)
        self.average.update(self.generator, first=self.step == 0)
        return torch.stack([d_loss, g_loss, *accuracies])

    def count(self) -> None:
        """Count a step, whose update is done or on its way."""
        self.step += 1

    def _scaled(self, real: Tensor) -> Tensor:
        """``real`` as float32 in [-1, 1], half of it mirrored where that is asked for."""
        images = real.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)
        return mirrored(images) if self.config.mirror else images

    def _discriminator_step(
        self, images: Tensor, penalised: bool
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        with autocast(self.device, self.config.precision):
            with torch.no_grad():
                generated = self._augmented(self._run(self.generator, self.draw(len(images))))
            images = self._augmented(images)
            real, fake = (
                self._run(self.discriminator, seen).float() for seen in (images, generated)
            )
        loss = losses.discriminator_loss(real, fake, self.config.loss)
        penalty = self._penalty(images, generated) if penalised else 0.0
        self._descend(loss + penalty, self.discriminator_adam)
        return loss.detach(), losses.accuracies(real, fake, self.config.loss)

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor | float:
        gammas = (self.config.r1_gamma, self.config.r2_gamma)
        # Never compiled: torch.compile has no gradients of gradients.
        return sum(
            penalties.gradient_penalty(
                self.discriminator, images, self.config.penalty_interval * gamma
            )
            for images, gamma in zip((real, fake), gammas, strict=True)
            if gamma
        )

    def _generator_step(self, images: Tensor) -> Tensor:
        with _judging(self.discriminator):
            with autocast(self.device, self.config.precision):
                generated = self._augmented(self._run(self.generator, self.draw(len(images))))
                fake = real = self._run(self.discriminator, generated).float()
                if self.config.loss == "relativistic":  # no other looks at real images here
                    real = self._run(self.discriminator, self._augmented(images)).float()
            loss = losses.generator_loss(real, fake, self.config.loss)
            self._descend(loss, self.generator_adam)
        return loss.detach()

    def _descend(self, loss: Tensor, optimiser: Adam) -> None:
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for parameters in optimiser.param_groups:
            self.group.average_gradients(parameters["params"])
        adam.descend(optimiser)

    def _augmented(self, images: Tensor) -> Tensor:
        return augmented(images, self.config.policy)

    def finished_generator(self) -> nn.Module:
        """The averaged generator in eval mode, as ``ema.finished`` makes it. Disturbs nothing."""
        z = sampling.from_seeds(
            range(_CALIBRATION_SEEDS), self.config.latent_dim, self.config.prior
        )
        batches = torch.split(torch.from_numpy(z).to(self.device), _CALIBRATION_BATCH)
        return averaging.finished(self.average, batches)

    def state_dict(self) -> dict[str, Any]:
        """All that decides the next steps: weights, optimisers, step, random state."""
        cuda = self.device.type == "cuda"
        return {
            "step": self.step,
            **{name: module.state_dict() for name, module in self._modules()},
            **{name: adam.state(optimiser) for name, optimiser in self._optimisers()},
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become what ``state_dict`` saw; on a CPU the next steps are the same bits.

        Raises RunError for the state of other networks.
        """
        try:
            self.step = state["step"]
            for name, module in self._modules():
                # Once the averaged generator counted its updates, which are the steps.
                saved = {key: held for key, held in state[name].items() if key != "n_averaged"}
                module.load_state_dict(saved)
            for name, optimiser in self._optimisers():
                adam.restore(optimiser, state[name])
            torch.set_rng_state(state["random"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(f"the checkpoint is not of these networks: {error}") from error
        self._share = math.nan  # whatever the rates were, they are set anew
        if self.device.type == "cuda" and state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.device)

    def _modules(self) -> list[tuple[str, nn.Module]]:
        return [(name, getattr(self, name)) for name in ("generator", "discriminator", "average")]

    def _optimisers(self) -> list[tuple[str, Adam]]:
        return [(name, getattr(self, name)) for name in ("generator_adam", "discriminator_adam")]


def _run(network: nn.Module, inputs: Tensor) -> Tensor:
    outputs: Tensor = network(inputs)
    return outputs


@contextmanager
def _judging(discriminator: nn.Module) -> Iterator[None]:
    """Let gradients pass through ``discriminator`` without being gathered in its weights."""
    discriminator.requires_grad_(False)
    try:
        yield
    finally:
        discriminator.requires_grad_(True)
