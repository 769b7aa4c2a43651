"""Trains feature networks: stochastic gradient descent with one cycle of the learning rate.

Smith and Topin 2018 (arXiv 1708.07120).
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice

import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.loop.epochs import epoch_order

BATCH = 128
"""Images in a batch, unless there are fewer."""
_LEARNING_RATE = 0.1


def train(
    parameters: Iterable[nn.Parameter],
    loss: Callable[[Tensor], Tensor],
    batches: Iterable[Tensor],
    steps: int,
) -> None:
    """Minimise ``loss``, a function of the numbers of a batch's images, in ``steps`` steps."""
    sgd = torch.optim.SGD(
        parameters, _LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(sgd, _LEARNING_RATE, total_steps=steps)
    for rows in tqdm(batches, total=steps, unit="step"):
        value = loss(rows)
        sgd.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        sgd.step()
        schedule.step()


def batches(images: int, size: int, steps: int, seed: int) -> Iterator[Tensor]:
    """The numbers of the images of each batch: the whole batches of every epoch's random order."""
    whole = images - images % size
    orders = (epoch_order(images, seed, epoch)[:whole] for epoch in count())
    return islice((rows for order in orders for rows in torch.split(order, size)), steps)
