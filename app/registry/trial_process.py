"""``python -m app.registry.trial_process``: runs graphs within limits, in place of the server.

A graph is a program: it may loop without end, or allocate any amount of memory. So the server lets
this process load each version first. It reads one request in JSON from each line of its standard
input, and writes one line for it: the reason why the version cannot be served, or null, or an
object that says what was not tried.
"""

import json
import math
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from app.artifact import card, graph_safety, version_folders
from app.artifact.card import IMAGES, OUTPUT, Card, CardError
from app.registry.trial_request import READY, UNTRIED, Request
from app.runtime import engine, image_encoder, providers
from app.runtime.providers import Placement

if sys.platform == "linux":
    import resource

_STACK_BYTES = 8 * 2**20
_WARM_UP = (1, 2)
"""The batches with which an engine on the CPU is warmed up."""
_OUT_OF_MEMORY = ("bad_alloc", "Failed to allocate memory")
"""How onnxruntime reports that it could not allocate memory."""
_LONGEST_REASON = 2000
_ALARM_SECONDS = 5.0
"""How long this process outlives its deadline if the server does not end it."""


def main() -> None:
    """Answer all requests."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    _be_ended_first()
    with suppress(BrokenPipeError):  # the server has ended meanwhile, and so will the input
        print(READY, file=answers)
    # onnxruntime would print names from the graph, which may imitate lines of the server's log.
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.dup2(nothing, sys.stderr.fileno())
    for line in sys.stdin:
        request = Request(**json.loads(line))
        if request.seconds and sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, request.seconds + _ALARM_SECONDS)
        _limit_memory(request)
        print(json.dumps(_answer(request)), file=answers)
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(request: Request) -> str | dict[str, list[str]] | None:
    """Why the version cannot be served; None if it can; else what was not tried of it."""
    untried = list[str]()
    began, folder = time.monotonic(), Path(request.models, request.version)
    try:
        version_folders.check_inside(folder, Path(request.models))
        described = card.read(folder)
        for file in request.files:
            untried += _try(folder / file, described, request, began)
    except CardError as error:
        return str(error)[:_LONGEST_REASON]
    return {UNTRIED: untried} if untried else None


def _try(path: Path, described: Card, request: Request, began: float) -> list[str]:
    """Load and run one model file; returns what was not tried. Raises CardError if it fails."""
    encoder = described.encoder
    is_encoder = encoder is not None and encoder.file == path.name
    files = [encoder] if encoder and is_encoder else described.variants
    graph = card.load_graph(path.parent, next(one for one in files if one.file == path.name))
    try:
        graph_safety.check(graph)
        tried = _Encoder(described) if is_encoder else _Generator(described)
        return [f"{path} with {one}" for one in _run(graph, tried, request, began)]
    except CardError as error:
        raise CardError(f"{path}: {error}") from error
    except Exception as error:
        text = str(error).partition("\n")[0]
        if isinstance(error, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
            text = f"needs more than {request.memory} bytes (load_memory): {text}"
        elif request.provider != "cpu" and "NotImplemented" in repr([error, error.__cause__]):
            return []  # the CPU lacks an operator, which says nothing about the other provider
        raise CardError(f"{path}: the model does not run: {text}") from error


class _Graph(Protocol):
    """What a graph is tried with."""

    def check_signature(self, session: ort.InferenceSession) -> None:
        """Raise CardError unless the graph has the inputs and outputs that the card promises."""

    def inputs(self, images: int) -> Mapping[str, NDArray[np.generic]]:
        """Random inputs for this many images."""

    def outputs(self, images: int) -> Mapping[str, tuple[int, ...]]:
        """The shapes of its outputs for this many images."""


@dataclass(frozen=True)
class _Generator:
    """Latents to pixels."""

    described: Card

    def check_signature(self, session: ort.InferenceSession) -> None:
        engine.check_signature(self.described, session)

    def inputs(self, images: int) -> Mapping[str, NDArray[np.generic]]:
        random = np.random.default_rng(0)
        widths = self.described.inputs.items()
        return {name: random.standard_normal((images, width), np.float32) for name, width in widths}

    def outputs(self, images: int) -> Mapping[str, tuple[int, ...]]:
        return {OUTPUT: (images, *self.described.image.shape)}


@dataclass(frozen=True)
class _Encoder:
    """Pixels to latents."""

    described: Card

    def check_signature(self, session: ort.InferenceSession) -> None:
        image_encoder.check_signature(self.described, session)

    def inputs(self, images: int) -> Mapping[str, NDArray[np.generic]]:
        shape = images, *self.described.image.shape
        return {IMAGES: np.random.default_rng(0).integers(0, 256, shape, np.uint8)}

    def outputs(self, images: int) -> Mapping[str, tuple[int, ...]]:
        return {name: (images, width) for name, width in self.described.inputs.items()}


def _run(graph: bytes, tried: _Graph, request: Request, began: float) -> list[str]:
    session = providers.session(graph, Placement("cpu", request.threads))
    tried.check_signature(session)

    def compute(images: int) -> float:
        started, expected = time.monotonic(), tried.outputs(images)
        outputs = session.run([*expected], tried.inputs(images))
        for (name, shape), output in zip(expected.items(), outputs, strict=True):
            if output.shape != shape:
                raise CardError(f"{images} images gave {name} of shape {output.shape}")
        return time.monotonic() - started

    seconds = [compute(images) for images in _WARM_UP]
    # A full batch, unless it takes so long that it would use up the deadline.
    expected = seconds[-1] / _WARM_UP[-1] * request.max_batch
    left = request.seconds - (time.monotonic() - began) if request.seconds else math.inf
    if request.provider != "cpu":
        return []
    if expected < left / 2:
        compute(request.max_batch)
        return []
    left_out = f"{request.max_batch} images, which would take about {expected:.1f} s, more than "
    left_out += f"half of the {max(left, 0):.1f} s that are left of {request.seconds:g} s"
    return [f"{left_out} (load_timeout)"]


def _be_ended_first() -> None:
    """Let the kernel end this process rather than the server when memory is short."""
    with suppress(OSError):  # not on Linux
        Path("/proc/self/oom_score_adj").write_text("1000")


def _limit_memory(request: Request) -> None:
    """Limit the bytes that may be allocated from now on, in addition to the threads' stacks."""
    if sys.platform != "linux":
        return
    found = re.search(r"^VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = hard
    if request.memory and found:
        limit = int(found[1]) * 1024 + request.memory + request.threads * _STACK_BYTES
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


if __name__ == "__main__":
    main()
