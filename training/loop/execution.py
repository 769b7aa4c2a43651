"""How a training step runs: operation by operation, compiled, or replayed as a CUDA graph.

A step of small networks consists of about five hundred short operations. A GPU executes them faster
than Python can launch them; a CUDA graph launches all of them at once.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from shutil import which
from typing import Protocol

import torch
from torch import Tensor

from training.config import Execution
from training.errors import TrainingError
from training.gan.gan import Gan
from training.gan.hardware import to_device
from training.loop.device import Notify

WARM_UP_STEPS = 3
"""Steps of each kind before a capture: libraries choose their algorithms in the first ones."""

Step = Callable[..., Tensor]
"""Takes a batch, uint8 ``(n, channels, height, width)``, and the conditions of its images if there
are any, float32 ``(n, k)``; returns what ``Gan.train_step`` does."""
DeviceWork = Callable[[], None]
"""Queues work on the device."""


class GraphCapturer(Protocol):
    """Captures work on a device, so that it can be replayed."""

    def warm_up(self, work: DeviceWork) -> None:
        """Do ``work`` in the way that a later capture requires."""

    def capture(self, work: DeviceWork) -> DeviceWork:
        """A function that does ``work``. The capture itself does not execute it."""


def ignore(_: str) -> None:
    """A ``Notify`` that discards its line."""


def select_step(gan: Gan, execution: Execution, notify: Notify = ignore) -> Step:
    """The function that trains ``gan`` for one step, as ``execution`` demands.

    ``auto`` falls back to eager steps, and ``notify`` receives the reason. Raises TrainingError as
    ``check`` does.
    """
    check(gan, execution)
    obstacle = _obstacle_to_graphs(gan)
    if execution == "compile":
        gan.compile()
    if execution == "eager" or obstacle:
        if execution == "auto" and gan.device.type == "cuda":
            notify(eager_notice(obstacle))
        return gan.train_step
    return GraphedSteps(gan, CudaGraphs(), notify if execution == "auto" else None)


def check(gan: Gan, execution: Execution) -> None:
    """Raise TrainingError if the steps of ``gan`` cannot run as ``execution`` demands.

    That is ``graph`` without a CUDA device or in a group of processes, and ``compile`` without the
    software it needs.
    """
    if execution == "graph" and (obstacle := _obstacle_to_graphs(gan)):
        raise TrainingError(f"--execution graph: {obstacle}; use --execution auto")
    if execution == "compile" and (missing := _missing_to_compile(gan.device)):
        raise TrainingError(f"--execution compile: needs {missing}; use --execution auto")


def _obstacle_to_graphs(gan: Gan) -> str:
    """Why the steps of ``gan`` cannot be CUDA graphs; empty if they can."""
    if gan.device.type != "cuda":
        return "a CUDA graph needs a CUDA device"
    if gan.group.size > 1:
        return "processes of a group exchange gradients in every step"
    return ""


def _missing_to_compile(device: torch.device) -> str:
    """What torch.compile needs on ``device`` and is not installed; empty if nothing is missing."""
    if device.type == "cuda" and find_spec("triton") is None:
        return "Triton"
    compilers = ("gcc", "clang") if device.type == "cuda" else ("g++", "clang++")
    from_environment = os.environ.get("CC" if device.type == "cuda" else "CXX")
    if from_environment or any(map(which, compilers)):
        return ""
    return f"a compiler, {' or '.join(compilers)}"


def eager_notice(reason: str) -> str:
    """The line that says why no graph is used."""
    return f"training runs eagerly, one operation at a time: {reason}"


class StaticBatch:
    """A batch whose tensors stay at the addresses that a graph reads from."""

    def __init__(self, device: torch.device) -> None:
        """An empty batch on ``device``."""
        self._device = device
        self.tensors: tuple[Tensor, ...] = ()

    def copy_in(self, batch: Sequence[Tensor]) -> None:
        """Copy ``batch``, always of the same shapes."""
        if not self.tensors:
            self.tensors = tuple(torch.empty_like(given, device=self._device) for given in batch)
        for own, given in zip(self.tensors, batch, strict=True):
            own.copy_(to_device(given, self._device))


class RecordedWork:
    """Work that is done ``WARM_UP_STEPS`` times, then recorded as a graph and replayed."""

    def __init__(
        self, work: DeviceWork, capturer: GraphCapturer, on_failure: Callable[[str], None]
    ) -> None:
        """If the capture fails, ``on_failure`` receives the reason, and no graph is used."""
        self._work, self._capturer, self._on_failure = work, capturer, on_failure
        self._warm_up_left = WARM_UP_STEPS
        self._recorded: DeviceWork | None = None

    def __call__(self) -> None:
        """Do the work once."""
        if self._warm_up_left:
            self._warm_up_left -= 1
            self._capturer.warm_up(self._work)
            return
        if self._recorded is None:
            self._recorded = self._record()
        self._recorded()

    def _record(self) -> DeviceWork:
        try:
            return self._capturer.capture(self._work)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            self._on_failure(f"CUDA graph capture failed: {reason}")
            return self._work


class GraphedSteps:
    """Training steps as two CUDA graphs: one with gradient penalties and one without."""

    def __init__(self, gan: Gan, capturer: GraphCapturer, notify: Notify | None) -> None:
        """If a capture fails, ``notify`` receives the reason and steps are eager from there on.

        Without ``notify``, a failed capture raises TrainingError.
        """
        self._gan, self._notify = gan, notify
        self._batch = StaticBatch(gan.device)
        self._values = torch.zeros(gan.figures, device=gan.device)
        self._work = {
            with_penalty: RecordedWork(partial(self._update, with_penalty), capturer, self._fail)
            for with_penalty in (False, True)
        }
        self._failed = False

    def __call__(self, *batch: Tensor) -> Tensor:
        """Train for one step. The next call overwrites the returned tensor.

        Raises TrainingError if the capture fails and there is no ``notify``.
        """
        if self._failed:
            return self._gan.train_step(*batch)
        self._batch.copy_in(batch)
        self._work[self._gan.penalty_due]()
        self._gan.count_step()
        return self._values

    def _update(self, with_penalty: bool) -> None:
        real, *conditions = self._batch.tensors
        self._values.copy_(self._gan.update(real, with_penalty, *conditions))

    def _fail(self, reason: str) -> None:
        if self._notify is None:
            raise TrainingError(f"{reason}; use --execution eager")
        self._failed = True
        self._notify(eager_notice(reason))


class CudaGraphs:
    """Captures work on the current CUDA device."""

    def __init__(self) -> None:
        # A capture may not contain work that began on the default stream.
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def warm_up(self, work: DeviceWork) -> None:
        """Do ``work`` on the stream that will capture it."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)

    def capture(self, work: DeviceWork) -> DeviceWork:
        """A function that replays ``work`` as a graph. Raises RuntimeError if the capture fails."""
        graph = torch.cuda.CUDAGraph()
        try:
            # The outer context restores the current stream even if the capture fails.
            with torch.cuda.stream(self._stream), torch.cuda.graph(graph, stream=self._stream):
                work()
        except RuntimeError:
            _release_random_state()
            raise
        return graph.replay


def _release_random_state() -> None:
    """Detach the random generator from a failed capture, so that it can be used again."""
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    generator.graphsafe_set_state(generator.clone_state())
