"""What the process for trials answers, here without the process."""

import io
import json
import os
import resource
import signal
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.artifact import card
from app.registry import trial_process
from app.registry.trial_request import READY, Request
from tests import conditional, encoding, hostile, versions
from tests.versions import publish


class Trial:
    """Sends requests to ``trial_process.main``, whose standard streams are files."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.models, self._answers, self._patch = folder / "models", folder / "answers", monkeypatch
        self.limits: list[tuple[int, int]] = []
        self.alarms: list[float] = []
        monkeypatch.setattr(trial_process, "_be_ended_first", lambda: None)
        monkeypatch.setattr(resource, "setrlimit", lambda _, limit: self.limits.append(limit))
        monkeypatch.setattr(signal, "setitimer", lambda _, seconds: self.alarms.append(seconds))

    def request(self, version: str = "cats/1") -> Request:
        return Request(
            models=str(self.models),
            version=version,
            files=["generator.onnx"],
            provider="cpu",
            threads=1,
            max_batch=4,
            memory=0,
            seconds=60,
        )

    def ask(self, *requests: Request, platform: str = "linux") -> list[str | None]:
        """The reasons why the versions cannot be served."""
        lines = io.StringIO("".join(json.dumps(asdict(one)) + "\n" for one in requests))
        with (
            self._answers.open("w") as out,
            self._answers.with_name("errors").open("w") as errors,
            Path(os.devnull).open("wb") as nothing,
            os.fdopen(os.dup(out.fileno()), "w") as answers,
        ):
            streams = SimpleNamespace(platform=platform, stdin=lines, stdout=out, stderr=errors)
            # The process leaves these open until it ends.
            files = {
                "dup": lambda number: number,
                "fdopen": lambda *_, **__: answers,
                "open": lambda *_: nothing.fileno(),
            }
            self._patch.setattr(trial_process, "sys", streams)
            self._patch.setattr(trial_process, "os", SimpleNamespace(**(vars(os) | files)))
            trial_process.main()
        first, *reasons = self._answers.read_text().splitlines()
        assert first == READY
        return [json.loads(line) for line in reasons]

    def ask_about(self, content: bytes, **changes: object) -> str:
        """The reason why a version with this graph cannot be served; empty if it can."""
        publish(self.models, "cats", 1, content)
        (reason,) = self.ask(replace(self.request(), **changes))  # type: ignore[arg-type]
        return str(reason or "")


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    return Trial(tmp_path, monkeypatch)


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_every_request_is_answered(trial: Trial, platform: str) -> None:
    publish(trial.models, "cats", 1)
    requests = [trial.request("cats/1"), trial.request("cats/2"), trial.request("cats/1")]
    first, missing, last = trial.ask(*requests, platform=platform)
    assert first is last is None
    assert missing is not None
    assert f"{trial.models / 'cats' / '2'}: cannot be read" in missing


def test_memory_is_limited_to_what_the_process_uses_and_what_is_allowed(trial: Trial) -> None:
    publish(trial.models, "cats", 1)
    allowed = 2**40
    request = replace(trial.request(), seconds=0)
    assert trial.ask(replace(request, memory=allowed), request) == [None, None]
    (limit, hard), freed = trial.limits
    assert limit == hard or allowed < limit < allowed + 2**38
    assert freed == (hard, hard)


@pytest.mark.parametrize(
    ("platform", "alarms"), [("linux", [65, 0, 0]), ("darwin", [65, 0, 0]), ("win32", [])]
)
def test_an_alarm_ends_the_process_after_the_deadline_until_it_has_answered(
    trial: Trial, platform: str, alarms: list[float]
) -> None:
    publish(trial.models, "cats", 1)
    without_deadline = replace(trial.request(), seconds=0)
    assert trial.ask(trial.request(), without_deadline, platform=platform) == [None, None]
    assert trial.alarms == alarms


def test_memory_is_limited_only_on_linux(trial: Trial) -> None:
    publish(trial.models, "cats", 1)
    assert trial.ask(replace(trial.request(), memory=2**40), platform="darwin") == [None]
    assert not trial.limits


def test_a_graph_that_needs_too_much_memory_is_refused_with_the_limit(trial: Trial) -> None:
    petabytes = hostile.hungry("cats", 1, 2**20)
    assert "needs more than 2000 bytes (load_memory): " in trial.ask_about(petabytes, memory=2000)


def test_a_file_that_is_no_graph_is_refused_with_its_path(trial: Trial) -> None:
    reason = trial.ask_about(b"\x0f")
    assert reason.startswith(f"{trial.models}/cats/1/generator.onnx: not an ONNX file")


def test_pixels_of_another_shape_are_refused(trial: Trial) -> None:
    graph = versions.graph("cats", 1)
    graph.graph.initializer.append(numpy_helper.from_array(np.array([True]), "only_the_first"))
    graph.graph.node[0].input[0] = "first"
    selecting = helper.make_node("Compress", ["latents", "only_the_first"], ["first"], axis=0)
    graph.graph.node.insert(0, selecting)
    reason = trial.ask_about(graph.SerializeToString())
    assert "2 images gave pixels of shape (1, 2, 2, 1)" in reason


@pytest.mark.parametrize(
    ("provider", "seconds", "max_batch", "tried"),
    [
        ("cpu", 60, 4, True),
        ("cpu", 60, 3, False),
        ("cpu", 1e-9, 4, False),
        ("cuda", 60, 4, False),
        ("cpu", 0, 4, True),
    ],
    ids=["in time", "smaller batch", "no time left", "another provider", "no deadline"],
)
def test_a_full_batch_is_tried_on_the_cpu_if_the_time_allows(
    trial: Trial, provider: str, seconds: float, max_batch: int, tried: bool
) -> None:
    graph = hostile.failing("cats", 1, 4)
    reason = trial.ask_about(graph, provider=provider, seconds=seconds, max_batch=max_batch)
    assert ("the model does not run" in reason) == tried
    assert ("generator.onnx with 4 images, which would take about " in reason) == (seconds == 1e-9)


@pytest.mark.parametrize("provider", ["cpu", "cuda"])
def test_an_operator_that_only_the_cpu_lacks_is_no_reason_elsewhere(
    trial: Trial, provider: str
) -> None:
    graph = versions.graph("cats", 1)
    graph.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1, 1)), "kernel"))
    graph.graph.initializer.append(numpy_helper.from_array(np.array([-1, 1, 4]), "row"))
    nodes = [
        helper.make_node("Cast", ["latents"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Reshape", ["wide", "row"], ["rows"]),
        helper.make_node("Conv", ["rows", "kernel"], ["same"]),  # not of float64 on the CPU
        helper.make_node("Cast", ["same"], ["narrow"], to=TensorProto.FLOAT),
    ]
    graph.graph.node[0].input[0] = "narrow"
    for at, node in enumerate(nodes):
        graph.graph.node.insert(at, node)
    reason = trial.ask_about(graph.SerializeToString(), provider=provider)
    assert ("the model does not run" in reason) == (provider == "cpu")


@pytest.mark.parametrize("name", ["shoes", "people"])
def test_a_conditional_version_passes(trial: Trial, name: str) -> None:
    conditional.publish(name, trial.models)
    assert trial.ask(trial.request(f"{name}/1")) == [None]


def test_an_encoder_is_tried_too(trial: Trial) -> None:
    conditional.publish("shoes", trial.models)
    folder = trial.models / "shoes" / "1"
    request = replace(trial.request("shoes/1"), files=["generator.onnx", "encoder.onnx"])
    encoding.add(folder)
    assert trial.ask(request) == [None]
    encoding.add(folder, (folder / "generator.onnx").read_bytes())
    (reason,) = trial.ask(request)
    assert reason
    assert reason.startswith(f"{folder / 'encoder.onnx'}: the encoder's input is {{'latents': ")
    encoding.add(folder, encoding.graph(card.read(folder), rows=2))
    (reason,) = trial.ask(request)
    assert reason == f"{folder / 'encoder.onnx'}: 1 images gave latents of shape (2, 8)"
