"""Training steps of an encoder as a CUDA graph, which launches hundreds of operations as one."""

from collections.abc import Callable

import torch
from torch import Tensor

from training.encoder.trainer import Losses, Trainer
from training.loop.device import Notify
from training.loop.execution import WARM_UP_STEPS, CudaGraphs, DeviceWork, GraphCapturer


class GraphedSteps:
    """Does what ``Trainer.train_step`` does."""

    def __init__(self, trainer: Trainer, capturer: GraphCapturer, notify: Notify) -> None:
        """If the capture fails, ``notify`` receives the reason, and further steps are eager."""
        self._trainer, self._capturer, self._notify = trainer, capturer, notify
        self._batch: list[Tensor | None] = []
        self._losses = torch.zeros(3, device=trainer.subject.device)
        self._warm_up_left = WARM_UP_STEPS
        self._replay: DeviceWork | None = None

    def __call__(self, *batch: Tensor | None) -> Losses:
        """Train for one step. The next call overwrites the returned tensor."""
        self._copy_in(batch)
        if self._warm_up_left:
            self._warm_up_left -= 1
            self._capturer.warm_up(self._update)
        else:
            self._captured()()
        self._trainer.step += 1
        return self._losses

    def _copy_in(self, batch: tuple[Tensor | None, ...]) -> None:
        """Copy ``batch``, always of the same shapes, to the addresses that the graph reads from."""
        if not self._batch:
            device = self._trainer.subject.device
            self._batch = [None if one is None else one.to(device).clone() for one in batch]
        for own, given in zip(self._batch, batch, strict=True):
            if own is not None and given is not None:
                own.copy_(given, non_blocking=True)

    def _captured(self) -> DeviceWork:
        """The recorded step; the step itself if it cannot be recorded."""
        if self._replay is None:
            try:
                self._replay = self._capturer.capture(self._update)
            except RuntimeError as error:
                reason = str(error).partition("\n")[0]
                self._notify(f"CUDA graph capture failed: {reason}; training runs eagerly")
                self._replay = self._update
        return self._replay

    def _update(self) -> None:
        self._losses.copy_(self._trainer.update(*self._batch))


def select_step(trainer: Trainer, notify: Notify) -> Callable[..., Losses]:
    """What trains for one step: a CUDA graph on a GPU, else ``trainer.train_step``."""
    if trainer.subject.device.type != "cuda":
        return trainer.train_step
    return GraphedSteps(trainer, CudaGraphs(), notify)
