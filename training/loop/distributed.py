"""The processes that train together, one a GPU: each on its rows of every batch.

``torchrun`` starts them and says by the environment who is who; without it a process trains alone.
All of them hold the same weights and draw the same random numbers, from which each takes what
belongs to its rows. So a checkpoint is that of any of them, and any number of them may go on from
it. What a layer draws for itself, dropout or an augmentation, is alike for the first row of every
process, the second and so on; batch norm sees the rows of its own process alone.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from training.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Group:
    """The ``size`` processes of a run, seen by the one of ``rank``. By default it is alone."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process keeps the journal."""
        return self.rank == 0

    def check(self, batch_size: int) -> None:
        """Raise TrainingError where the processes cannot have equal shares of a batch."""
        if batch_size % self.size:
            raise TrainingError(
                f"--batch-size {batch_size}: must be a multiple of {self.size}, "
                "the number of processes that share it"
            )

    def share(self, batch: Tensor) -> Tensor:
        """Its rows of ``batch`` ``(n, …)``, where n is a multiple of ``size``."""
        return batch.chunk(self.size)[self.rank]

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes of ``values``, of any shape, on the device they are on."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every one of ``parameters`` the mean of its gradients in all processes.

        In one message: a network of this kind has a few megabytes in all.
        """
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        means = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = torch.split(means, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Let the leader through before the others: what it downloads, they find."""
        if not self.leads:
            dist.barrier()
        yield
        if self.leads and self.size > 1:
            dist.barrier()


ALONE = Group()


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Group, torch.device]]:
    """The group that ``torchrun`` started this process for, and the device this one computes on.

    That is ``device``, of several GPUs the one with the process's local rank; they speak NCCL with
    each other, CPUs gloo. Raises TrainingError where there are more processes than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE, device
        return
    if device.type == "cuda":
        device = _own_gpu()
        dist.init_process_group("nccl", device_id=device)
    else:
        dist.init_process_group("gloo")
    yield Group(dist.get_rank(), size), device
    # Not after a failure: it might wait for processes that wait for this one to end.
    dist.destroy_process_group()


def _own_gpu() -> torch.device:
    """The GPU with this process's number on its machine."""
    rank, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if rank >= count:
        raise TrainingError(f"process {rank} of this machine has no GPU: there are {count}")
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)
