"""Training steps of an encoder as a CUDA graph, which launches hundreds of operations as one."""

from collections.abc import Callable

import torch
from torch import Tensor

from training.encoder.trainer import Losses, Trainer
from training.loop.device import Notify
from training.loop.execution import (
    CudaGraphs,
    GraphCapturer,
    RecordedWork,
    StaticBatch,
    eager_notice,
)


class GraphedSteps:
    """Does what ``Trainer.train_step`` does."""

    def __init__(self, trainer: Trainer, capturer: GraphCapturer, notify: Notify) -> None:
        """If the capture fails, ``notify`` receives the reason, and further steps are eager."""
        self._trainer, self._batch = trainer, StaticBatch(trainer.subject.device)
        self._losses = torch.zeros(3, device=trainer.subject.device)
        self._work = RecordedWork(
            self._update, capturer, lambda reason: notify(eager_notice(reason))
        )

    def __call__(self, *batch: Tensor) -> Losses:
        """Train for one step. The next call overwrites the returned tensor."""
        self._batch.copy_in(batch)
        self._work()
        self._trainer.count_step()
        return self._losses

    def _update(self) -> None:
        self._losses.copy_(self._trainer.update(*self._batch.tensors))


def select_step(trainer: Trainer, notify: Notify) -> Callable[..., Losses]:
    """What trains for one step: a CUDA graph on a GPU, else ``trainer.train_step``."""
    if trainer.subject.device.type != "cuda":
        return trainer.train_step
    return GraphedSteps(trainer, CudaGraphs(), notify)
