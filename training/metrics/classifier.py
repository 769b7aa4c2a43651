"""``features``: the feature network learns to tell a data set's classes apart."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from tqdm import tqdm

from app.card import digest
from training import device, files
from training.data import idx
from training.errors import DataError
from training.fit import Downloads
from training.loop import order
from training.metrics import features
from training.metrics.features import SHIPPED, Shipped
from training.metrics.options import Learning

_BATCH = 128
_LEARNING_RATE = 0.1
_SHIFT = 2


def learn(options: Learning) -> None:
    """Train the feature network of a data set, write its weights and tell how good it is."""
    device.keep_to_quota()
    shipped, where = SHIPPED[options.dataset], device.resolve(options.device)
    with Downloads() as downloads:
        folder = idx.locate(idx.FASHION_MNIST, options.data_dir, downloads)
    pixels, labels = idx.images(folder), idx.labels(folder)
    content = features.pack(fit(pixels, labels, shipped, options, where))
    files.write(options.out, content)
    # What is measured is what was written, with its rounding.
    share = accuracy(features.unpack(content, shipped).to(where), folder)
    print(f"{options.out}: SHA-256 {digest(content)}, test accuracy {share:.2%}")


def fit(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    shipped: Shipped,
    options: Learning,
    where: torch.device,
) -> nn.Sequential:
    """The network of ``shipped``, trained on ``pixels`` ``(n, c, h, w)`` of classes ``labels``.

    Stochastic gradient descent with one cycle of the learning rate (Smith and Topin 2018, arXiv
    1708.07120). Images are shifted, but not mirrored as is usual: shoes that point the other way
    are no images of this data set, and the features shall not be blind to them. Raises DataError
    for too few images, or a class that ``shipped`` does not know.
    """
    steps, classes = len(pixels) // _BATCH, len(shipped.classes)
    if not steps or pixels.shape[1:] != shipped.image_shape or labels.max() >= classes:
        raise DataError(
            f"{len(pixels)} images {pixels.shape[1:]} of classes 0…{labels.max()} are not the "
            f"{_BATCH} or more {shipped.image_shape} of classes 0…{classes - 1} that are needed"
        )
    torch.manual_seed(options.seed)
    network = device.channels_last(features.network(shipped.image_shape, classes)).to(where)
    sgd = torch.optim.SGD(
        network.parameters(), _LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    total = steps * options.epochs
    cycle = torch.optim.lr_scheduler.OneCycleLR(sgd, _LEARNING_RATE, total_steps=total)
    images, targets = torch.from_numpy(pixels.copy()), torch.from_numpy(labels.astype(np.int64))
    for chosen in tqdm(_batches(len(images), options), total=total, unit="step"):
        batch = features.scaled(shifted(images[chosen]).to(where))
        with device.autocast(where, "auto"):
            logits = network(batch)
        loss = cross_entropy(logits.float(), targets[chosen].to(where))
        sgd.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        sgd.step()
        cycle.step()
    return network.eval()


def _batches(count: int, options: Learning) -> Iterator[Tensor]:
    for epoch in range(options.epochs):
        shuffled = order(count, options.seed, epoch)
        yield from torch.split(shuffled[: count - count % _BATCH], _BATCH)


def shifted(images: Tensor) -> Tensor:
    """Each of ``images`` ``(n, c, h, w)`` up to two pixels up, down, left or right; black fills."""
    count, _, height, width = images.shape
    rows, columns = torch.randint(0, 2 * _SHIFT + 1, (2, count, 1))
    rows, columns = rows + torch.arange(height), columns + torch.arange(width)
    padded = pad(images, [_SHIFT] * 4).permute(0, 2, 3, 1)
    each = torch.arange(count)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def accuracy(network: nn.Sequential, folder: Path) -> float:
    """Share of the test images in ``folder`` whose class ``network`` tells."""
    seen = features.features(network, idx.images(folder, "t10k"))
    return float((seen.labels == idx.labels(folder, "t10k")).mean())
