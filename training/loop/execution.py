"""How a step runs: operation by operation, compiled, or recorded once as a CUDA graph.

A step of small networks is some five hundred short operations, and a GPU does them faster than
Python can ask for them. A CUDA graph asks for all of them at once.
"""

import os
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from shutil import which
from typing import Protocol

import torch
from torch import Tensor

from training.config import Execution
from training.errors import TrainingError
from training.loop.device import moved
from training.loop.distributed import Group

WARM_UP = 3
"""Steps of each kind before it is recorded: libraries choose their algorithms in the first ones."""

Step = Callable[[Tensor], Tensor]
"""From a batch, uint8 ``(n, channels, height, width)``, to what ``Trainer.train_step`` returns."""
Tell = Callable[[str], None]
Work = Callable[[], None]


class Stepping(Protocol):
    """What is known of a trainer here."""

    device: torch.device
    group: Group

    @property
    def penalised(self) -> bool:
        """Whether the next step has penalties: work of another kind."""

    def train_step(self, real: Tensor) -> Tensor:
        """One whole step."""

    def update(self, real: Tensor, penalised: bool) -> Tensor:
        """The part of a step that the device does."""

    def count(self) -> None:
        """The part that is left."""

    def compile(self) -> None:
        """Let torch.compile fuse what the networks do."""


class Recorder(Protocol):
    """What can record work for a device and have it done again."""

    def rehearse(self, work: Work) -> None:
        """Do ``work`` so that it can be recorded later."""

    def record(self, work: Work) -> Work:
        """What does ``work`` again whenever it is called; ``work`` itself is not done."""


def untold(_: str) -> None:
    """For whoever does not want to know."""


def choose(trainer: Stepping, execution: Execution, tell: Tell = untold) -> Step:
    """How the steps of ``trainer`` run by ``execution``; ``auto`` falls back and tells why.

    Raises TrainingError where ``check`` does.
    """
    check(trainer, execution)
    obstacle = _obstacle(trainer)
    if execution == "compile":
        trainer.compile()
    if execution == "eager" or obstacle:
        if execution == "auto" and trainer.device.type == "cuda":
            tell(f"steps run one operation at a time: {obstacle}")
        return trainer.train_step
    return Recorded(trainer, CudaGraphs(), tell if execution == "auto" else None)


def check(trainer: Stepping, execution: Execution) -> None:
    """Raise TrainingError where steps cannot run by ``execution``.

    That is ``graph`` where there can be none, and ``compile`` where what it needs is not installed.
    """
    if execution == "graph" and (obstacle := _obstacle(trainer)):
        raise TrainingError(f"--execution graph: {obstacle}; use --execution auto")
    if execution == "compile" and (missing := _missing_to_compile(trainer.device)):
        raise TrainingError(f"--execution compile: needs {missing}; use --execution auto")


def _obstacle(trainer: Stepping) -> str:
    """Why the steps of ``trainer`` cannot be recorded; empty where they can."""
    if trainer.device.type != "cuda":
        return "a CUDA graph needs a CUDA device"
    if trainer.group.size > 1:
        return "the processes of a group talk to each other in every step"
    return ""


def _missing_to_compile(device: torch.device) -> str:
    """What torch.compile needs on ``device`` and does not find; empty where it finds it all."""
    if device.type == "cuda" and find_spec("triton") is None:
        return "Triton"
    compilers = ("gcc", "clang") if device.type == "cuda" else ("g++", "clang++")
    named = os.environ.get("CC" if device.type == "cuda" else "CXX")
    return "" if named or any(map(which, compilers)) else f"a compiler, {' or '.join(compilers)}"


class Recorded:
    """Steps that are recorded once they have warmed up: those with penalties and those without."""

    def __init__(self, trainer: Stepping, recorder: Recorder, tell: Tell | None) -> None:
        """Fall back where a step cannot be recorded, and ``tell`` why; without it, raise."""
        self._trainer, self._recorder, self._tell = trainer, recorder, tell
        self._batch = torch.empty(0)
        self._values = torch.zeros(4, device=trainer.device)
        self._rehearsals = {False: WARM_UP, True: WARM_UP}
        self._recordings: dict[bool, Work] = {}
        self._failed = False

    def __call__(self, real: Tensor) -> Tensor:
        """One step. What it returns is overwritten by the next.

        Raises TrainingError where it cannot be recorded and nobody is told.
        """
        if not self._failed:
            self._place(real)
            work = self._next(self._trainer.penalised)
        if self._failed:
            return self._trainer.train_step(real)
        work()
        self._trainer.count()
        return self._values

    def _place(self, real: Tensor) -> None:
        """Put ``real`` where recorded steps look for it."""
        if self._batch.shape != real.shape:
            self._batch = torch.empty_like(real, device=self._trainer.device)
        self._batch.copy_(moved(real, self._trainer.device))

    def _next(self, penalised: bool) -> Work:
        """What does the next step, of this kind."""
        work = partial(self._update, penalised)
        if self._rehearsals[penalised]:
            self._rehearsals[penalised] -= 1
            return partial(self._recorder.rehearse, work)
        if penalised not in self._recordings:
            try:
                self._recordings[penalised] = self._recorder.record(work)
            except RuntimeError as error:
                self._fail(f"a step cannot be recorded as a CUDA graph: {_first_line(error)}")
        return self._recordings.get(penalised, work)

    def _update(self, penalised: bool) -> None:
        self._values.copy_(self._trainer.update(self._batch, penalised))

    def _fail(self, why: str) -> None:
        if self._tell is None:
            raise TrainingError(f"{why}; use --execution eager")
        self._failed = True
        self._tell(f"steps run one operation at a time: {why}")


class CudaGraphs:
    """Records what is asked of the current CUDA device."""

    def __init__(self) -> None:
        # Work that shall be recorded must not have begun on the stream that all others wait for.
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def rehearse(self, work: Work) -> None:
        """Do ``work`` on the stream that it will be recorded on."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)

    def record(self, work: Work) -> Work:
        """The graph of ``work``, with memory of its own. RuntimeError where there can be none."""
        graph = torch.cuda.CUDAGraph()
        try:
            # The first of them leaves the stream even where the second breaks off.
            with torch.cuda.stream(self._stream), torch.cuda.graph(graph, stream=self._stream):
                work()
        except RuntimeError:
            _free_random_numbers()
            raise
        return graph.replay


def _free_random_numbers() -> None:
    """Give the random numbers back that a recording holds which broke off."""
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    generator.graphsafe_set_state(generator.clone_state())


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
