"""What a run says before it starts."""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from app.artifact.version_key import printable
from training.config import SMALL_DATA, Config
from training.gan.adaptive import TARGET
from training.gan.teacher import Teacher
from training.loop import device as devices
from training.loop.length import epochs_of, steps_of
from training.loop.recorder import LOOKS_SHARE
from training.loop.threads import Threads
from training.loop.trial import NetworkSize, Trial
from training.loop.wording import counted
from training.run.journal import DataSummary, Run

_SHOWN_NAMES = 16
_LONG = 20 * 60
"""Seconds above which a run says that it may be stopped."""


class Start(NamedTuple):
    """A run that is about to start."""

    run: Run
    options: Config
    data: DataSummary
    device: torch.device
    threads: Threads
    teacher: Teacher | None = None

    @property
    def epochs(self) -> int:
        """The epochs of the run."""
        return epochs_of(self.options, self.data.images)

    @property
    def steps(self) -> int:
        """The steps of the run."""
        return steps_of(self.epochs, self.data.images, self.options.batch_size)


def lines(start: Start, trial: Trial, done: int) -> Iterator[str]:
    """The run as a table of text; ``done`` is the number of steps that it has done already."""
    for name, text in _rows(start, trial, done):
        yield f"{name:14}{text}"


def _rows(start: Start, trial: Trial, done: int) -> Iterator[tuple[str, str]]:
    options, data = start.options, start.data
    yield "preset", options.preset
    yield "device", devices.describe(start.device, options.precision)
    if start.threads.note:
        yield "threads", f"{start.threads.number} {start.threads.note}"
    colour = "grey" if data.channels == 1 else "colour"
    yield "data", f"{data.name}: {data.images:,} {colour} images of {data.width}×{data.height}"
    yield "labels", _labels(data)
    yield "augmentation", _augmentation(start)
    if start.teacher:
        yield "teacher", f"{start.teacher.name}, weight {options.teacher_weight:g}"
    yield "generator", _network(options.generator, trial.generator)
    yield "discriminator", _network(options.discriminator, trial.discriminator)
    steps, epochs = counted(start.steps, "step"), counted(start.epochs, "epoch")
    shown = f"{steps} of {options.batch_size} images, {epochs}"
    yield "length", f"{shown}; {done:,} steps are done" if done else shown
    yield "time", _time(start, trial, done)
    yield "folder", f"{printable(str(start.run.folder))}; look at its newest picture in samples"


def _labels(data: DataSummary) -> str:
    if not data.sampler:
        return "none"
    names = data.sampler.names
    kind = "classes" if data.classes else "attributes"
    more = ", …" if len(names) > _SHOWN_NAMES else ""
    return f"{len(names)} {kind}: {', '.join(names[:_SHOWN_NAMES])}{more}"


def _augmentation(start: Start) -> str:
    if start.options.is_adaptive:
        right = (1 + TARGET) / 2
        return f"ada: more while over {right:.0%} of the real images are recognised, else less"
    if not start.options.policy:
        return "none"
    chosen = start.options.augment.replace(",", ", ")
    if start.data.images >= SMALL_DATA:
        return chosen
    return f"{chosen}; fewer than {SMALL_DATA:,} images are easily memorised"


def _network(layers: str, size: NetworkSize) -> str:
    return f"{layers}, {size.parameters:,} parameters, {size.mflop:,.1f} MFLOP per image"


def _time(start: Start, trial: Trial, done: int) -> str:
    most = "at most " if start.device.type == "cuda" else ""  # recorded steps are faster
    step = trial.seconds / (1 - LOOKS_SHARE)
    epoch = step * start.data.images / start.options.batch_size
    if done == start.steps:
        return "none: all steps are done"
    left = step * (start.steps - done)
    whole = f"about {duration(left)}{' more' if done else ''}, {duration(epoch)} per epoch"
    speed = start.options.batch_size / trial.seconds
    stop = "; Ctrl-C saves and stops" if left > _LONG else ""
    estimated = f", estimated from steps of {trial.images} images" if trial.images else ""
    return f"{most}{whole}, at {_rounded(speed)} images per second{estimated}{stop}"


def _rounded(speed: float) -> str:
    return f"{speed:,.1f}" if speed < 10 else f"{speed:,.0f}"


def duration(seconds: float) -> str:
    """``seconds`` in words, with the precision of an estimate: 40 s, 12 min, 2 h 50 min, 3 days."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{round(minutes / 60 / 24)} days"
