"""Training on a GPU: each way to run a step, compared with a plain loop, and a whole run."""

import gzip
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tests.bench.graphics import operations_per_image, utilisation
from tests.bench.rows import NotRunError, Row
from tests.bench.train import Side, noise, ours, plain
from training.config import Config, Execution, from_flags
from training.errors import TrainingError
from training.evaluation.scoring import scorer
from training.export.initial_weights import begin
from training.export.teacher import find
from training.loop.fit import Hooks, fit
from training.run.journal import SCORE, Run

BATCH = 128
_SMALL = {"batch_size": 8, "generator_filters": 4, "discriminator_filters": 4, "precision": "fp32"}


@dataclass(frozen=True)
class Bench:
    """Where to measure, and for how long."""

    where: torch.device
    seconds: float
    """Seconds of one measurement."""
    quick: bool
    rates: list[float]
    """The rate of bfloat16 arithmetic in operations per second; empty until it is measured."""

    @property
    def every(self) -> int:
        """Steps between two readings of the losses."""
        return 2 if self.quick else 50

    def config(self, preset: str, execution: Execution = "auto") -> Config:
        """A preset with batches large enough for a GPU."""
        flags: dict[str, Any] = {"preset": preset, "execution": execution, "batch_size": BATCH}
        if self.quick:
            flags |= _SMALL
        return from_flags(flags)

    def pixels(self, config: Config) -> np.ndarray:
        """Training images of noise."""
        return noise(config, 64 if self.quick else 16_384)


@dataclass(frozen=True)
class Speed:
    """The measured speed of one side, and how busy the GPU was in percent, if known."""

    images_per_second: float
    utilisation: float | None


def measured(bench: Bench, side: Side, batch_size: int) -> Speed:
    """The speed of ``side`` after warming up, over as many steps as take ``bench.seconds``."""
    side(2 if bench.quick else 40)
    steps = 2
    while True:
        with utilisation(bench.where) as busy:
            began = time.perf_counter()
            done = side(steps)
            passed = time.perf_counter() - began
        if passed >= bench.seconds:
            return Speed(done * batch_size / passed, busy[0] if busy else None)
        steps = max(2 * steps, int(1.1 * done * bench.seconds / passed))


def sides(bench: Bench, preset: str) -> Iterator[Row]:
    """A preset with each ``--execution`` and with a plain loop, one after the other."""
    found: dict[str, Speed] = {}
    for name in ("auto", "eager", "plain loop"):
        execution: Execution = "eager" if name == "eager" else "auto"
        config = bench.config(preset, execution)
        make = plain if name == "plain loop" else partial(ours, every=bench.every)
        side = make(config, bench.pixels(config), bench.where)
        found[name] = measured(bench, side, config.batch_size)
        yield from _rows(preset, name, found[name])
        del side
    ratio = found["auto"].images_per_second / found["plain loop"].images_per_second
    yield Row(preset, "auto, compared with the plain loop", ratio, "times")
    yield from _limit(bench, preset, found["auto"])


def compiled(bench: Bench, preset: str) -> Iterator[Row]:
    """A preset with torch.compile. Raises NotRunError if it cannot compile."""
    config, began = bench.config(preset, "compile"), time.perf_counter()
    try:
        side = ours(config, bench.pixels(config), bench.where, bench.every)
        side(4)
    except TrainingError as error:
        raise NotRunError(str(error)) from error
    yield Row(preset, "compiling", time.perf_counter() - began, "s")
    found = measured(bench, side, config.batch_size)
    yield from _rows(preset, "compile", found)
    yield from _limit(bench, preset, found)


def _rows(preset: str, name: str, found: Speed) -> Iterator[Row]:
    yield Row(preset, name, found.images_per_second, "images/s")
    if found.utilisation is not None:
        yield Row(preset, f"{name}: the GPU is busy", found.utilisation, "%")


def _limit(bench: Bench, preset: str, found: Speed) -> Iterator[Row]:
    config = bench.config(preset)
    operations = operations_per_image(config, bench.pixels(config).shape[1:])
    yield Row(preset, "operations per image", operations / 1e9, "GFLOP")
    if bench.rates:
        limit = bench.rates[0] / operations
        yield Row(preset, "arithmetic limit", limit, "images/s")
        yield Row(preset, "share of that limit", 100 * found.images_per_second / limit, "%")


def whole_run(
    bench: Bench, name: str, epochs: int, data_dir: Path | None, **options: str
) -> Iterator[Row]:
    """``fit`` as a user runs it: data, samples, curves, checkpoints and, last, a score."""
    flags: dict[str, Any] = {"preset": "dcgan-28", "epochs": epochs, **options}
    with TemporaryDirectory() as folder:
        if bench.quick:
            data_dir = _few(Path(folder) / "data")
            flags |= {"epochs": 2, "threads": 1, **_SMALL}
        elif data_dir:
            flags["score_every"] = epochs
        flags |= {"data_dir": data_dir, "device": bench.where.type}
        run, began = Run(Path(folder) / "run"), time.perf_counter()
        try:
            fit(run.folder, flags, resume=False, hooks=Hooks(scorer, begin, find))
        except TrainingError as error:
            raise NotRunError(f"{error} (see --data-dir)") from error
        passed, lines = time.perf_counter() - began, run.epochs()
    yield Row(name, f"{len(lines)} epochs in total", passed, "s")
    yield Row(name, "in the last epoch", lines[-1]["images_per_second"], "images/s")
    if SCORE in lines[-1]:
        yield Row(name, SCORE, lines[-1][SCORE], note="to training images")


def scores(rows: list[Row], ours: str, plain: str) -> Iterator[Row]:
    """The difference between the scores of two whole runs. Raises NotRunError without both."""
    found = {row.part: row.value for row in rows if row.what == SCORE and row.value}
    if not {ours, plain} <= found.keys():
        raise NotRunError("a whole run has no score; give --data-dir, and --scores for both")
    difference = 100 * (found[ours] / found[plain] - 1)
    yield Row("score", f"{ours}, compared with {plain}", difference, "%", "the aim is within 5")


def _few(folder: Path) -> Path:
    """Write 64 images of noise in the file format of Fashion-MNIST; returns the folder."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, shape in (("images-idx3", (64, 28, 28)), ("labels-idx1", (64,))):
        values = random.integers(0, 10, shape, dtype=np.uint8)
        header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
        for part in ("train", "t10k"):
            path = folder / f"{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(header + values.tobytes()))
    return folder
