"""``features``: trains a feature network on the classes or attributes of a published data set."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from app.artifact import atomic_files
from app.artifact.card import digest
from training.errors import DataError
from training.evaluation import features, folder_features, labelled_data, one_cycle
from training.evaluation.features import NETWORKS, Labels, NetworkSpec
from training.evaluation.labelled_data import LabelledImages
from training.evaluation.one_cycle import BATCH
from training.evaluation.options import FeaturesOptions
from training.gan import hardware
from training.gan.pixels import scaled
from training.loop import device as devices

_EPOCHS = 10
_OUT = Path("runs/features.pt")
_MAX_SHIFT = 2
_CPU = torch.device("cpu")


def train(options: FeaturesOptions) -> None:
    """Train the feature network of a data set, write its weights and print its test accuracy.

    Raises DataError for options that only a folder has.
    """
    devices.limit_threads()
    if folder := options.folder:
        folder_features.train(options, folder)
        return
    for name, value in (("image-size", options.image_size), ("conditional", options.conditional)):
        if value not in {None, "auto"}:
            raise DataError(f"--{name} {value}: is for --dataset folder:PATH alone")
    out = options.out or _OUT
    spec, device = NETWORKS[options.dataset], devices.resolve(options.device)
    _, train_set, test_set = labelled_data.load(spec, options.data_dir)
    content = features.pack(fit(train_set, spec, options, device))
    atomic_files.write(out, content)
    # Measure the weights that were written, which are rounded to half precision.
    network = features.unpack(content, spec).to(device)
    correct = features.extract(network, test_set.pixels, spec).labels == test_set.labels
    print(f"{out}: SHA-256 {digest(content)}, test accuracy {correct.mean():.2%}")
    if not spec.exclusive:
        print(*accuracy_table(spec.names, test_set.labels, correct), sep="\n")


def accuracy_table(names: Sequence[str], has: Labels, correct: Labels) -> Iterator[str]:
    """Lines with the share and the accuracy of each attribute of ``names``.

    ``has`` says which images have which attribute, ``correct`` which predictions are right; both
    are bool ``(n, k)``. Balanced accuracy, the mean of the accuracies on images with and without
    the attribute, is the fair measure of a rare one: never predicting it is mostly right.
    """
    yield f"{'attribute':20}{'share':>10}{'accuracy':>10}{'balanced':>10}"
    for name, present, right in zip(names, has.T, correct.T, strict=True):
        balanced = np.mean([right[rows].mean() for rows in (present, ~present) if rows.any()])
        yield f"{name:20}{present.mean():10.1%}{right.mean():10.2%}{balanced:10.2%}"


def fit(
    images: LabelledImages, spec: NetworkSpec, options: FeaturesOptions, device: torch.device
) -> nn.Sequential:
    """A network of ``spec``, trained on ``images``; in eval mode.

    Images are shifted, but not mirrored as is usual: this data set has no shoes that point the
    other way, and the features must be able to detect them. Raises DataError for too few images,
    and for images or labels that do not fit ``spec``.
    """
    _check(images, spec)
    epochs = options.epochs or _EPOCHS
    steps = len(images.pixels) // BATCH * epochs
    torch.manual_seed(options.seed)
    network = features.build(spec.image_shape, len(spec.names))
    network = hardware.channels_last(network).to(device)
    pixels, labels = devices.place_images(images.pixels, _CPU), torch.tensor(images.labels)

    def loss(rows: Tensor) -> Tensor:
        batch = scaled(randomly_shifted(pixels[rows]).to(device))
        with hardware.autocast(device, "auto"):
            logits = network(batch)
        return cross_entropy(logits.float(), labels[rows].to(device))

    order = one_cycle.batches(len(pixels), BATCH, steps, options.seed)
    one_cycle.train(network.parameters(), loss, order, steps)
    return network.eval()


def _check(images: LabelledImages, spec: NetworkSpec) -> None:
    (pixels, labels), count = images, len(spec.names)
    known = labels.max() < count if spec.exclusive else labels.shape[1:] == (count,)
    if len(pixels) < BATCH or pixels.shape[1:] != spec.image_shape or not known:
        kind = "classes" if spec.exclusive else "attributes"
        raise DataError(
            f"the data set has {len(pixels)} images {pixels.shape[1:]} with labels "
            f"{labels.shape[1:]} up to {labels.max()}; the feature network needs at least {BATCH} "
            f"images {spec.image_shape} of {count} {kind}"
        )


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over images of -log p(labels), in nats, from ``logits`` ``(n, k)``.

    Labels are classes ``(n,)``, or bool attributes ``(n, k)``, whose probabilities are multiplied.
    """
    if labels.dtype != torch.bool:
        return functional.cross_entropy(logits, labels.long())
    per_attribute = functional.binary_cross_entropy_with_logits(
        logits, labels.float(), reduction="none"
    )
    return per_attribute.sum(dim=1).mean()


def randomly_shifted(images: Tensor) -> Tensor:
    """``images`` ``(n, c, h, w)``, each shifted by up to two pixels in each direction, on black."""
    count, _, height, width = images.shape
    rows, columns = torch.randint(0, 2 * _MAX_SHIFT + 1, (2, count, 1))
    rows, columns = rows + torch.arange(height), columns + torch.arange(width)
    padded = functional.pad(images, [_MAX_SHIFT] * 4).permute(0, 2, 3, 1)
    each = torch.arange(count)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
