"""A GAN: its two networks, their optimisers, the averaged generator and one training step."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from app.artifact.card import Latent
from app.latent.conditions import ClassSampler, Sampler
from app.latent.sampling import Prior
from training.config import Config
from training.errors import RunError
from training.gan import adam, averaging, conditional, losses, networks, penalties
from training.gan.adaptive import AdaptiveAugmentation
from training.gan.augmentation import augmented, mirrored
from training.gan.conditional import Judgement
from training.gan.distillation import image_distance
from training.gan.freezing import freeze
from training.gan.hardware import autocast, channels_last, to_device
from training.gan.process_group import SINGLE_PROCESS, ProcessGroup
from training.image_size import ImageSize

CALIBRATION_SEEDS = 4096
"""Latents that calibrate the averaged generator's batch norm."""
_CALIBRATION_BATCH, _LEAST_CALIBRATION_BATCH = 256, 16
"""Latents in a batch for images of at most 64×64, and of any size: larger images have fewer."""


class Gan:
    """The networks of a run and everything that a training step changes. It contains no loop."""

    def __init__(  # noqa: PLR0913 what a run is made of
        self,
        config: Config,
        image_shape: tuple[int, int, int],
        device: torch.device,
        group: ProcessGroup = SINGLE_PROCESS,
        sampler: Sampler | None = None,
        *,
        teacher: nn.Module | None = None,
    ) -> None:
        """New networks for images of ``image_shape`` (channels, height, width).

        ``config.seed`` decides their weights, which are the same in every process of ``group``.
        With ``sampler``, they are conditional, and it gives seeds their classes or attributes.
        With ``teacher``, a trained generator, the new one also learns to reproduce its images.
        Raises ValueError if no network exists for their size.
        """
        torch.manual_seed(config.seed)
        self.config, self.device, self.group = config, device, group
        self.sampler, self.teacher = sampler, teacher
        self._calibration_batch = _calibration_batch(image_shape)
        self.step = 0
        """Steps done since the run began."""
        generator, discriminator = _networks(config, image_shape, sampler)
        self.generator = channels_last(generator).to(device)
        self.discriminator = channels_last(discriminator).to(device)
        self._has_batch_norm = any(
            isinstance(layer, nn.BatchNorm2d) for layer in discriminator.modules()
        )
        freeze(self.discriminator, config.freeze_discriminator)
        betas = (config.beta1, config.beta2)
        self.generator_adam = adam.adam(self.generator, config.generator_lr, betas)
        self.discriminator_adam = adam.adam(self.discriminator, config.discriminator_lr, betas)
        self.average = averaging.Average(self.generator, config.average_decay)
        self.adaptive = (
            AdaptiveAugmentation(config.batch_size).to(device) if config.is_adaptive else None
        )
        """The augmentation of ``--augment ada``; None for any other."""
        self._rate_factor = 1.0
        self._forward, self._judgement = _forward, conditional.judge

    def train_step(self, real: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Train both networks for one step on ``real``, uint8 ``(n, channels, height, width)``.

        ``real`` is this process's share of the batch, and ``conditions``, float32 ``(n, k)``, are
        its classes or attributes if the networks are conditional. Returns one tensor, still on the
        device, of ``figures`` numbers: discriminator loss, generator loss, accuracy on real and
        accuracy on generated images, and with a teacher the distance to its images.
        """
        if conditions is not None:
            conditions = to_device(conditions, self.device)
        values = self.update(to_device(real, self.device), self.penalty_due, conditions)
        self.count_step()
        return values

    def update(self, real: Tensor, with_penalty: bool, conditions: Tensor | None = None) -> Tensor:
        """The part of ``train_step`` that runs on the device, for tensors that are already there.

        Nothing here waits for the device or branches on its results, so it can be a CUDA graph.
        Both networks learn from the same generated images, so the generator runs only once.
        Generated images have the conditions of the real ones, and therefore their distribution.
        """
        images = self._scaled(real)
        with autocast(self.device, self.config.precision):
            rows = self._rows(len(images), conditions)
            generated = self._forward(self.generator, rows)
            distance = self._distance_to_teacher(rows, generated)
        d_loss, accuracies = self._train_discriminator(
            images, generated.detach(), conditions, with_penalty
        )
        g_loss = self._train_generator(images, generated, conditions, sum(distance))
        self.average.update(self.generator)
        return torch.stack([d_loss, g_loss, *accuracies, *(one.detach() for one in distance)])

    @property
    def figures(self) -> int:
        """How many numbers ``train_step`` returns."""
        return 4 if self.teacher is None else 5

    def _train_discriminator(
        self, images: Tensor, generated: Tensor, conditions: Tensor | None, with_penalty: bool
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Update the discriminator. Returns its loss and its accuracies on real and generated."""
        with autocast(self.device, self.config.precision):
            images, generated = self._augmented(images), self._augmented(generated)
            real, fake = self._judge_both(images, generated, conditions)
        loss = losses.discriminator_loss(real.logits, fake.logits, self.config.loss)
        penalty = self._penalty(images, generated, conditions) if with_penalty else 0.0
        others = penalty + self._auxiliary_loss(real, conditions)
        self._minimise(loss + others, self.discriminator_adam)
        accuracies = losses.accuracies(real.logits, fake.logits, self.config.loss)
        if self.adaptive:  # the state is that of the whole group, in every process
            self.adaptive.observe(self.group.mean(accuracies[0].clone()))
        return loss.detach(), accuracies

    def _train_generator(
        self,
        images: Tensor,
        generated: Tensor,
        conditions: Tensor | None,
        distance: Tensor | float,
    ) -> Tensor:
        """Update the generator, which made ``generated``. Returns its loss.

        ``distance`` is that of ``generated`` to the teacher's images, 0 without a teacher.
        """
        with _frozen(self.discriminator):
            with autocast(self.device, self.config.precision):
                fake = real = self._judge(self._augmented(generated), conditions)
                if self.config.loss == "relativistic":  # the only loss here that uses real images
                    real = self._judge(self._augmented(images), conditions)
            loss = losses.generator_loss(real.logits, fake.logits, self.config.loss)
            others = self._auxiliary_loss(fake, conditions) + self.config.teacher_weight * distance
            self._minimise(loss + others, self.generator_adam)
        return loss.detach()

    def _judge(self, images: Tensor, conditions: Tensor | None) -> Judgement:
        logits, predictions = self._judgement(self.discriminator, images, conditions)
        return Judgement(logits.float(), None if predictions is None else predictions.float())

    def _judge_both(
        self, images: Tensor, generated: Tensor, conditions: Tensor | None
    ) -> tuple[Judgement, Judgement]:
        """The judgements of real and of generated images, in one batch where that is the same.

        With batch norm it is not: real images would be normalised with generated ones.
        """
        if self._has_batch_norm:
            return self._judge(images, conditions), self._judge(generated, conditions)
        doubled = None if conditions is None else torch.cat([conditions, conditions])
        return self._judge(torch.cat([images, generated]), doubled).halves()

    def _auxiliary_loss(self, judged: Judgement, conditions: Tensor | None) -> Tensor | float:
        if judged.predictions is None or conditions is None:
            return 0.0
        exclusive = isinstance(self.sampler, ClassSampler)
        loss = losses.auxiliary_loss(judged.predictions, conditions, exclusive)
        return self.config.auxiliary * loss

    def _distance_to_teacher(self, rows: Tensor, generated: Tensor) -> list[Tensor]:
        """The distance of ``generated`` to the teacher's images of the same rows, if any."""
        if self.teacher is None:
            return []
        with torch.no_grad():
            taught: Tensor = self.teacher(rows)
        return [image_distance(generated.float(), taught.float())]

    def _minimise(self, loss: Tensor, optimiser: Adam) -> None:
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for parameters in optimiser.param_groups:
            self.group.average_gradients(parameters["params"])
        adam.step(optimiser)

    def count_step(self) -> None:
        """Count a step whose ``update`` is done or queued on the device."""
        self.step += 1
        self.average.ramp(self.step)
        if self.adaptive:
            self.adaptive.end_step(self.step)

    @property
    def penalty_due(self) -> bool:
        """Whether the next step includes gradient penalties.

        They are lazy, computed once in ``penalty_interval`` steps: Karras et al. 2020 (arXiv
        1912.04958), section 3.1.
        """
        config = self.config
        return bool(config.r1_gamma or config.r2_gamma) and self.step % config.penalty_interval == 0

    def _penalty(self, real: Tensor, fake: Tensor, conditions: Tensor | None) -> Tensor | float:
        gammas = (self.config.r1_gamma, self.config.r2_gamma)
        # Never compiled: torch.compile does not support second derivatives.
        return sum(
            penalties.gradient_penalty(
                self.discriminator, images, self.config.penalty_interval * gamma, conditions
            )
            for images, gamma in zip((real, fake), gammas, strict=True)
            if gamma
        )

    def _scaled(self, real: Tensor) -> Tensor:
        """``real`` as float32 in [-1, 1]; a random half is mirrored if ``mirror`` is set."""
        images = real.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)
        return mirrored(images) if self.config.mirror else images

    def _augmented(self, images: Tensor) -> Tensor:
        if self.adaptive:
            return self.adaptive.augmented(images)
        return augmented(images, self.config.policy)

    def _rows(self, count: int, conditions: Tensor | None) -> Tensor:
        return conditional.input_rows(self.sample_latents(count), conditions)

    def sample_latents(self, count: int) -> Tensor:
        """``count`` random latents of the prior, ``(count, latent_dim)``, drawn on the device.

        Every process draws those of the whole group and returns its own share.
        """
        config, total = self.config, count * self.group.size
        return self.group.share(random_latents(total, config.latent_dim, config.prior, self.device))

    def set_rate_factor(self, factor: float) -> None:
        """Multiply the configured learning rates of both networks by ``factor``."""
        if factor != self._rate_factor:
            adam.set_learning_rate(self.generator_adam, factor * self.config.generator_lr)
            adam.set_learning_rate(self.discriminator_adam, factor * self.config.discriminator_lr)
        self._rate_factor = factor

    def compile(self, backend: str = "inductor") -> None:
        """Compile the forward passes with torch.compile, except those of gradient penalties."""
        self._forward = torch.compile(_forward, backend=backend)
        self._judgement = torch.compile(conditional.judge, backend=backend)

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        weights = [*self.generator.parameters(), *self.discriminator.parameters()]
        return bool(torch.stack([tensor.isfinite().all() for tensor in weights]).all())

    def averaged_generator(self) -> nn.Module:
        """A copy of the averaged generator, calibrated and in eval mode.

        It uses no random numbers of the run, so the run continues as if it had not been called.
        """
        latent = Latent(width=self.config.latent_dim, prior=self.config.prior)
        rows = conditional.rows_of(range(CALIBRATION_SEEDS), latent, self.sampler)
        batches = torch.split(torch.from_numpy(rows).to(self.device), self._calibration_batch)
        return averaging.calibrated(self.average, batches)

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the following steps: weights, optimisers, step, random state."""
        cuda = self.device.type == "cuda"
        return {
            "step": self.step,
            **{name: module.state_dict() for name, module in self._modules()},
            **{name: adam.state(optimiser) for name, optimiser in self._optimisers()},
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned; on a CPU the following steps are the same bits.

        Raises RunError if it is the state of other networks.
        """
        try:
            self.step = state["step"]
            self.average.ramp(self.step)
            for name, module in self._modules():
                # Checkpoints of early versions hold the average's number of updates, too.
                saved = {key: value for key, value in state[name].items() if key != "n_averaged"}
                module.load_state_dict(saved)
            for name, optimiser in self._optimisers():
                adam.restore(optimiser, state[name])
            torch.set_rng_state(state["random"])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())  # of several lines
            raise RunError(f"the checkpoint belongs to other networks: {reason}") from error
        self._rate_factor = math.nan  # unequal to any factor, so the next one is applied
        if self.device.type == "cuda" and state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.device)

    def _modules(self) -> list[tuple[str, nn.Module]]:
        names = ("generator", "discriminator", "average", "adaptive")
        return [(name, module) for name in names if (module := getattr(self, name)) is not None]

    def _optimisers(self) -> list[tuple[str, Adam]]:
        return [(name, getattr(self, name)) for name in ("generator_adam", "discriminator_adam")]


def random_latents(count: int, width: int, prior: Prior, device: torch.device) -> Tensor:
    """``count`` random latents of ``prior``, ``(count, width)``, drawn on ``device``."""
    if prior == "uniform":
        return torch.rand((count, width), device=device).mul_(2).sub_(1)
    return torch.randn((count, width), device=device)


def _calibration_batch(image_shape: tuple[int, int, int]) -> int:
    """Latents in a batch for calibration: their feature maps must fit into the memory."""
    fitting = _CALIBRATION_BATCH * 64 * 64 // math.prod(image_shape[1:])
    return min(_CALIBRATION_BATCH, max(_LEAST_CALIBRATION_BATCH, fitting))


def _networks(
    config: Config, image_shape: tuple[int, int, int], sampler: Sampler | None
) -> tuple[nn.Sequential, nn.Module]:
    """A new generator and a new discriminator."""
    channels, size = image_shape[0], ImageSize.of_shape(image_shape)
    conditions = len(sampler.names) if sampler else 0
    generator = networks.generator(
        config.latent_dim + conditions, channels, size, config.generator_filters, config
    )
    discriminator = networks.discriminator(
        channels, size, config.discriminator_filters, config.spectral_norm, config
    )
    if not conditions:
        return generator, discriminator
    return generator, conditional.Projection(discriminator, conditions, config.spectral_norm)


def _forward(network: nn.Module, *inputs: Tensor) -> Tensor:
    outputs: Tensor = network(*inputs)
    return outputs


@contextmanager
def _frozen(discriminator: nn.Module) -> Iterator[None]:
    """Let gradients pass through ``discriminator`` without accumulating in its weights."""
    trained = [weights for weights in discriminator.parameters() if weights.requires_grad]
    for weights in trained:
        weights.requires_grad_(False)
    try:
        yield
    finally:
        for weights in trained:
            weights.requires_grad_(True)
