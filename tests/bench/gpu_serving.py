"""Serving on a GPU without HTTP: engines, memory, and PNG, which becomes the slowest stage."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from app.artifact import card
from app.artifact.card import INPUT, OUTPUT
from app.imaging import png
from app.imaging.sheets import Pixels
from app.latent import sampling
from app.latent.sampling import Latents
from app.runtime.cpus import available
from app.runtime.engine import Engine
from app.runtime.providers import ArithmeticPrecision, Placement, ProviderError, candidates
from tests.bench.rows import NotRunError, Row

ROOT = Path(__file__).parent.parent.parent
MODELS = ("fashion-mnist/2", "faces/1")
PRECISIONS: tuple[ArithmeticPrecision, ...] = ("fp32", "fp16")
"""The precisions of TensorRT that are measured."""
Draw = Callable[[Latents], Pixels]


@dataclass(frozen=True)
class Model:
    """A shipped version, to be run by our engine or by plain onnxruntime."""

    name: str
    card: card.Card
    graph: bytes

    def latents(self, count: int, seed: int = 0) -> Latents:
        """The latents of ``count`` consecutive seeds."""
        prior = self.card.latent
        return sampling.from_seeds(range(seed, seed + count), prior.width, prior.prior)

    def ours(self, placement: Placement) -> Draw:
        """The engine of the server."""
        engine = Engine(self.card, self.graph, placement, 256)
        return lambda rows: engine({INPUT: rows})

    def plain(self, provider: str, options: dict[str, str] | None = None) -> Draw:
        """``session.run``, default options. Raises NotRunError if the provider does not start."""
        chosen = [(provider, options or {})]
        session = onnxruntime.InferenceSession(self.graph, providers=chosen)
        if session.get_providers()[0] != provider:
            raise NotRunError(f"{provider} does not start")
        return lambda rows: session.run([OUTPUT], {INPUT: rows})[0]


@dataclass(frozen=True)
class Serving:
    """The provider, and how long to measure."""

    provider: str
    seconds: float
    """Seconds of one measurement."""
    quick: bool

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of images in a batch."""
        return (1, 4) if self.quick else (1, 64, 256)

    @cached_property
    def models(self) -> list[Model]:
        """The shipped versions, read once."""
        found = []
        for name in MODELS:
            folder = ROOT / "models" / name
            described = card.read(folder)
            found.append(Model(name, described, card.load_graph(folder, described.variants[0])))
        return found

    @property
    def placement(self) -> Placement:
        """Where the provider runs. Raises NotRunError if it is not available."""
        try:
            return candidates(self.provider, threads=available())[0]
        except ProviderError as error:
            raise NotRunError(str(error)) from error

    @property
    def native(self) -> str:
        """The provider's name in onnxruntime."""
        return {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}[self.provider]


def times(draw: Draw, rows: Latents, seconds: float) -> np.ndarray:
    """Milliseconds of each call during ``seconds``, after three calls to warm up."""
    for _ in range(3):
        draw(rows)
    found, began = [], time.perf_counter()
    while not found or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        draw(rows)
        found.append(1000 * (time.perf_counter() - start))
    return np.array(found)


def engines(serving: Serving) -> Iterator[Row]:
    """Parity with the CPU; images per second and latency compared with ``session.run``."""
    placement = serving.placement
    for model in serving.models:
        part = f"serving {model.name}"
        ours, plain = model.ours(placement), model.plain(serving.native)
        rows = model.latents(64)
        on_cpu = model.ours(Placement("cpu", available()))(rows)
        equal = 100 * float((ours(rows) == on_cpu).mean())
        yield Row(part, "pixels equal to the CPU's", equal, "%")
        for count in serving.sizes:
            rows, medians = model.latents(count), []
            for name, draw in (("ours", ours), ("session.run", plain)):
                taken = times(draw, rows, serving.seconds)
                medians.append(float(np.median(taken)))
                worst = f"99th percentile {np.percentile(taken, 99):.2f} ms"
                yield Row(part, f"{name}, n={count}", medians[-1], "ms", worst)
            yield Row(part, f"ours, n={count}", 1000 * count / medians[0], "images/s")
            yield Row(part, f"ratio, n={count}", medians[1] / medians[0], "times")


def memory(serving: Serving) -> Iterator[Row]:
    """How much the memory of the process and of the GPU grows over 100,000 batches."""
    model, sizes, count = serving.models[0], (1, 3, 16, 64), 40 if serving.quick else 100_000
    draw = model.ours(serving.placement)
    batches = [model.latents(size) for size in sizes]
    for number in range(count if serving.quick else 100):
        draw(batches[number % len(batches)])
    on_gpu = serving.provider != "cpu" and torch.cuda.is_available()
    resident, free = _resident(), torch.cuda.mem_get_info()[0] if on_gpu else 0
    for number in range(count):
        draw(batches[number % len(batches)])
    what = f"growth in {count:,} batches"
    yield Row("serving, memory", what, (_resident() - resident) / 2**20, "MiB", "of the process")
    if not on_gpu:
        raise NotRunError("measuring GPU memory needs the provider cuda, and PyTorch with CUDA")
    grown = (free - torch.cuda.mem_get_info()[0]) / 2**20
    yield Row("serving, memory", what, grown, "MiB", "of the GPU")


def copies(serving: Serving) -> Iterator[Row]:
    """What page-locked memory would gain; onnxruntime's Python API offers none for outputs."""
    if serving.provider == "cpu" or not torch.cuda.is_available():
        raise NotRunError("copies from a GPU need a GPU, and PyTorch with CUDA")
    for model in serving.models:
        drawn = torch.zeros(256, *model.card.image.shape, dtype=torch.uint8, device="cuda")
        locked = torch.empty(drawn.shape, dtype=torch.uint8, pin_memory=True)

        def page_locked(_: Latents, drawn: Tensor = drawn, locked: Tensor = locked) -> Pixels:
            locked.copy_(drawn)
            pixels: Pixels = locked.numpy().copy()  # the next batch reuses the page-locked memory
            return pixels

        def plain(_: Latents, drawn: Tensor = drawn) -> Pixels:
            pixels: Pixels = drawn.cpu().numpy()
            return pixels

        for name, draw in (("plain", plain), ("page-locked", page_locked)):
            taken = float(np.median(times(draw, model.latents(1), serving.seconds)))
            yield Row(f"copies {model.name}", f"256 images, {name}", taken, "ms")


def _resident() -> int:
    """Resident memory of this process in bytes (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tensorrt(serving: Serving, model: Model) -> Iterator[Row]:
    """TensorRT: seconds to build and to load its engine, parity with the CPU, and speed."""
    part, rows = f"TensorRT {model.name}", model.latents(64)
    on_cpu = model.ours(Placement("cpu", available()))(rows)
    for precision in PRECISIONS:
        with tempfile.TemporaryDirectory() as folder:
            place = _with_tensorrt(precision, Path(folder))
            for what in ("engine built", "engine loaded from the cache"):
                began = time.perf_counter()
                draw = _started(model, place)
                yield Row(part, f"{precision}, {what}", time.perf_counter() - began, "s")
        difference = np.abs(draw(rows).astype(int) - on_cpu)
        equal = 100 * float((difference == 0).mean())
        yield Row(part, f"{precision}, pixels equal to the CPU's", equal, "%")
        yield Row(part, f"{precision}, largest difference in levels", float(difference.max()))
        for count in serving.sizes:
            taken = float(np.median(times(draw, model.latents(count), serving.seconds)))
            yield Row(part, f"{precision}, n={count}", taken, "ms")
            yield Row(part, f"{precision}, n={count}", 1000 * count / taken, "images/s")


def _with_tensorrt(precision: ArithmeticPrecision, folder: Path) -> Placement:
    try:
        (place,) = candidates("tensorrt", precision, available())
    except ProviderError as error:
        raise NotRunError(str(error)) from error
    return replace(place, engine_cache=folder)


def _started(model: Model, place: Placement) -> Draw:
    try:
        return model.ours(place)
    except ProviderError as error:
        raise NotRunError(str(error)) from error


def png_stage(serving: Serving) -> Iterator[Row]:
    """Images per second that the engine generates, and that 1, 2, 4, … threads encode."""
    for model in serving.models:
        part, rows = f"PNG {model.name}", model.latents(64)
        try:
            draw = model.ours(serving.placement)
        except NotRunError:
            draw = model.ours(Placement("cpu", available()))
        pixels = draw(rows)
        taken = float(np.median(times(draw, rows, serving.seconds)))
        yield Row(part, "generated, n=64", 64_000 / taken, "images/s")
        cores = [2**k for k in range(8) if 2**k < (os.cpu_count() or 1)] + [os.cpu_count() or 1]
        for count in [1] if serving.quick else cores:
            speed = _encoded(pixels, count, serving.seconds)
            yield Row(part, f"encoded by {count} threads", speed, "images/s")


def _encoded(pixels: Pixels, threads: int, seconds: float) -> float:
    """Images per second that ``threads`` threads encode, each with its own batches."""
    began = time.perf_counter()

    def encode(_: int) -> int:
        done = 0
        while not done or time.perf_counter() - began < seconds:
            png.encode_all(pixels)
            done += len(pixels)
        return done

    with ThreadPoolExecutor(threads) as pool:
        encoded = sum(pool.map(encode, range(threads)))
    return encoded / (time.perf_counter() - began)
