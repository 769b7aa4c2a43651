"""Plots of a run's metrics, drawn by matplotlib without a display or global state."""

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from training.config import Loss

Epochs = Sequence[dict[str, Any]]
"""The lines of ``metrics.jsonl``, one or more."""

# Distinguishable with any colour vision (Okabe and Ito 2008, "Color Universal Design").
_COLOURS = ("#0072B2", "#D55E00", "#009E73")
_GREY = "#888888"


def losses(epochs: Epochs, loss: Loss) -> bytes:
    """A PNG with both networks' mean loss by epoch. Only the cross-entropy has a unit, nats.

    With a teacher it also shows the distance to its images.
    """
    unit = "nats" if loss == "bce" else f"{loss} loss, no unit"
    curves = {
        "discriminator": _column(epochs, "discriminator_loss"),
        "generator": _column(epochs, "generator_loss"),
    }
    if all("teacher_distance" in line for line in epochs):
        curves["distance to the teacher (no unit)"] = _column(epochs, "teacher_distance")
    return _plot(epochs, curves, f"mean loss ({unit})", percent=False)


def accuracy(epochs: Epochs) -> bytes:
    """A PNG with the discriminator's accuracy on real and on generated images by epoch.

    With adaptive augmentation it also shows the probability of each transformation.
    """
    curves = {
        "real images": _column(epochs, "accuracy_real"),
        "generated images": _column(epochs, "accuracy_fake"),
    }
    label = "accuracy of the discriminator (%)"
    if "augment_probability" in epochs[0]:
        curves["augmentation"] = _column(epochs, "augment_probability")
        label = "accuracy, probability of augmentation (%)"
    return _plot(epochs, curves, label, percent=True)


def _column(epochs: Epochs, name: str) -> list[float]:
    return [line[name] for line in epochs]


def _plot(epochs: Epochs, curves: dict[str, list[float]], label: str, percent: bool) -> bytes:
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    # A single epoch is a point, which a line alone would not show.
    marker = "o" if len(epochs) == 1 else ""
    for (name, values), colour in zip(curves.items(), _COLOURS, strict=False):
        numbers = _column(epochs, "epoch")
        axes.plot(numbers, values, marker=marker, color=colour, linewidth=1.8, label=name)
    if percent:
        axes.axhline(0.5, color=_GREY, linewidth=1, linestyle="--", label="chance", zorder=1)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_ylim(0, 1.02)
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.grid(color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    buffer = io.BytesIO()
    # Without the library's version in the file, equal curves give equal bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
