"""The processes that train one model together, and what they exchange in a step.

All processes hold the same weights and draw the same random numbers; each uses the numbers that
belong to its own rows of the batch. A checkpoint of any process is therefore a checkpoint of all,
and a run may resume with another number of processes. Random numbers drawn inside a layer (dropout)
or by an augmentation are the same for the first row of every process, the second, and so on. Batch
norm sees only the rows of its own process.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """A group of ``size`` processes, seen from the process with number ``rank``."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes the run folder and prints."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """The rows of ``batch`` ``(n, …)`` for this process; n is a multiple of ``size``."""
        return batch.chunk(self.size)[self.rank]

    def mean(self, values: Tensor) -> Tensor:
        """The mean of ``values``, of any shape, over all processes, computed in place."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradient of each parameter by its mean over all processes.

        All gradients travel in one message: a network of this kind has only a few megabytes.
        """
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        means = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = torch.split(means, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


SINGLE_PROCESS = ProcessGroup()
"""The group of a process that trains alone."""
