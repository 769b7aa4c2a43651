"""Distributed training: one process for each GPU, started by ``torchrun``.

``torchrun`` describes the group in environment variables. Without them a process trains alone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from training.errors import TrainingError
from training.gan.process_group import SINGLE_PROCESS, ProcessGroup


@contextmanager
def joined_group(device: torch.device) -> Iterator[tuple[ProcessGroup, torch.device]]:
    """The group that ``torchrun`` started this process for, and the device of this process.

    That is ``device``, or on a machine with several GPUs the one with the process's local rank.
    GPUs communicate by NCCL, CPUs by gloo. Raises TrainingError if there are more processes than
    GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield SINGLE_PROCESS, device
        return
    if device.type == "cuda":
        device = _own_gpu()
        dist.init_process_group("nccl", device_id=device)
    else:
        dist.init_process_group("gloo")
    yield ProcessGroup(dist.get_rank(), size), device
    # Skipped after a failure: it could wait for processes that wait for this one to end.
    dist.destroy_process_group()


def check_batch_size(group: ProcessGroup, batch_size: int) -> None:
    """Raise TrainingError if the processes of ``group`` cannot share a batch equally."""
    if batch_size % group.size:
        raise TrainingError(
            f"--batch-size {batch_size}: must be a multiple of {group.size}, "
            "the number of processes that share it"
        )


@contextmanager
def main_first(group: ProcessGroup) -> Iterator[None]:
    """Run a block in the main process before the others, which then find what it downloaded."""
    if not group.is_main:
        dist.barrier()
    yield
    if group.is_main and group.size > 1:
        dist.barrier()


def _own_gpu() -> torch.device:
    """The GPU whose number is this process's local rank."""
    rank, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if rank >= count:
        raise TrainingError(
            f"process {rank} on this machine has no GPU: PyTorch finds {count}; "
            "start at most one process per GPU"
        )
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)
