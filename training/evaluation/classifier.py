"""``features``: the feature network learns to tell a data set's classes, or attributes."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, pad
from tqdm import tqdm

from app.artifact import atomic_files
from app.artifact.card import digest
from training.errors import DataError
from training.evaluation import features, real
from training.evaluation.features import SHIPPED, Labels, Shipped
from training.evaluation.options import Learning
from training.evaluation.real import Part
from training.gan import hardware
from training.loop import device
from training.loop.epochs import epoch_order

_BATCH = 128
_LEARNING_RATE = 0.1
_SHIFT = 2
_CPU = torch.device("cpu")


def learn(options: Learning) -> None:
    """Train the feature network of a data set, write its weights and tell how good it is."""
    device.limit_threads()
    shipped, where = SHIPPED[options.dataset], device.resolve(options.device)
    _, train, test = real.read(shipped, options.data_dir)
    content = features.pack(fit(train, shipped, options, where))
    atomic_files.write(options.out, content)
    # What is measured is what was written, with its rounding.
    seen = features.features(features.unpack(content, shipped).to(where), test.pixels, shipped)
    right = seen.labels == test.labels
    print(f"{options.out}: SHA-256 {digest(content)}, test accuracy {right.mean():.2%}")
    if not shipped.exclusive:
        print(*table(shipped.names, test.labels, right), sep="\n")


def table(names: Sequence[str], has: Labels, right: Labels) -> Iterator[str]:
    """How well each of ``names`` is told, from who ``has`` it and which answers are ``right``.

    Both are ``(n, k)``. Balanced accuracy, the mean of the accuracies on images with and without
    the attribute, is what a rare one must be judged by: to deny it always is mostly right.
    """
    yield f"{'attribute':20}{'share':>10}{'accuracy':>10}{'balanced':>10}"
    for name, had, told in zip(names, has.T, right.T, strict=True):
        balanced = np.mean([told[side].mean() for side in (had, ~had) if side.any()])
        yield f"{name:20}{had.mean():10.1%}{told.mean():10.2%}{balanced:10.2%}"


def fit(train: Part, shipped: Shipped, options: Learning, where: torch.device) -> nn.Sequential:
    """The network of ``shipped``, trained on ``train``.

    Stochastic gradient descent with one cycle of the learning rate (Smith and Topin 2018, arXiv
    1708.07120). Images are shifted, but not mirrored as is usual: shoes that point the other way
    are no images of this data set, and the features shall not be blind to them. Raises DataError
    for too few images, or labels that ``shipped`` does not know.
    """
    _check(train, shipped)
    steps = len(train.pixels) // _BATCH
    torch.manual_seed(options.seed)
    outputs = len(shipped.names)
    network = hardware.channels_last(features.network(shipped.image_shape, outputs)).to(where)
    sgd = torch.optim.SGD(
        network.parameters(), _LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    total = steps * options.epochs
    cycle = torch.optim.lr_scheduler.OneCycleLR(sgd, _LEARNING_RATE, total_steps=total)
    images, targets = device.place_images(train.pixels, _CPU), torch.from_numpy(train.labels.copy())
    for chosen in tqdm(_batches(len(images), options), total=total, unit="step"):
        batch = features.scaled(shifted(images[chosen]).to(where))
        with hardware.autocast(where, "auto"):
            logits = network(batch)
        sgd.zero_grad()
        loss = surprise(logits.float(), targets[chosen].to(where))
        loss.backward()  # type: ignore[no-untyped-call]
        sgd.step()
        cycle.step()
    return network.eval()


def _check(train: Part, shipped: Shipped) -> None:
    (pixels, labels), count = train, len(shipped.names)
    known = labels.max() < count if shipped.exclusive else labels.shape[1:] == (count,)
    if len(pixels) < _BATCH or pixels.shape[1:] != shipped.image_shape or not known:
        kind = "classes" if shipped.exclusive else "attributes"
        raise DataError(
            f"{len(pixels)} images {pixels.shape[1:]} with labels {labels.shape[1:]} up to "
            f"{labels.max()} are not the {_BATCH} or more {shipped.image_shape} of {count} {kind} "
            "that are needed"
        )


def surprise(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of -log p over images, in nats, where ``logits`` ``(n, k)`` tell p of their labels.

    These are classes ``(n,)``, or attributes, bool ``(n, k)``, whose probabilities multiply.
    """
    if labels.dtype != torch.bool:
        return cross_entropy(logits, labels.long())
    each = binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
    return each.sum(dim=1).mean()


def _batches(count: int, options: Learning) -> Iterator[Tensor]:
    for epoch in range(options.epochs):
        shuffled = epoch_order(count, options.seed, epoch)
        yield from torch.split(shuffled[: count - count % _BATCH], _BATCH)


def shifted(images: Tensor) -> Tensor:
    """Each of ``images`` ``(n, c, h, w)`` up to two pixels up, down, left or right; black fills."""
    count, _, height, width = images.shape
    rows, columns = torch.randint(0, 2 * _SHIFT + 1, (2, count, 1))
    rows, columns = rows + torch.arange(height), columns + torch.arange(width)
    padded = pad(images, [_SHIFT] * 4).permute(0, 2, 3, 1)
    each = torch.arange(count)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
