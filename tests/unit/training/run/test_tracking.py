"""``fit --track``: what TensorBoard, MLflow and Weights & Biases get, read back by themselves."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.errors import StoppedError
from training.loop.stop_signals import StopSignals
from training.run import tracker_library, tracking
from training.run.journal import Run
from training.run.report import Report
from training.run.tensorboard import Events
from training.run.tracker import PROBABILITY_TAG, SAMPLES, SCORE_TAG, TAGS, TrackedEpoch
from training.run.tracking import Trackers

Fit = Callable[..., int]


@pytest.fixture
def epoch(tmp_path: Path) -> TrackedEpoch:
    """An epoch with a score and a sample grid."""
    grid = tmp_path / "grid.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(grid)
    report = Report(3, 15, True, 1.5, -0.5, 0.75, 0.25, 123.0, augment_probability=0.125)
    return TrackedEpoch.of(report, 4.5, grid)


FIGURES = {
    "loss/discriminator": 1.5,
    "loss/generator": -0.5,
    "accuracy/real": 0.75,
    "accuracy/generated": 0.25,
    "speed/images_per_second": 123.0,
    SCORE_TAG: 4.5,
    PROBABILITY_TAG: 0.125,
}


# TensorBoard.


def accumulated(run: Run) -> EventAccumulator:
    everything = {"scalars": 0, "images": 0, "tensors": 0}
    return EventAccumulator(str(run.events), everything).Reload()


def text(found: EventAccumulator, tag: str) -> str:
    (event,) = found.Tensors(f"{tag}/text_summary")
    content: bytes = event.tensor_proto.string_val[0]
    return content.decode()


def test_events_contain_options_figures_samples_and_summary(
    tmp_path: Path, epoch: TrackedEpoch
) -> None:
    run = Run(tmp_path)
    events = Events(run, {"loss": "bce"}, 0)
    events.log([epoch])
    events.finish("stopped", {"best_epoch": 3})
    found = accumulated(run)
    assert {tag: found.Scalars(tag)[0].value for tag in FIGURES} == FIGURES
    (image,) = found.Images(SAMPLES)
    assert (image.step, image.width, image.height) == (15, 8, 8)
    assert "| loss | bce |" in text(found, "options")
    assert "| ending | stopped |\n| best_epoch | 3 |" in text(found, "summary")


def test_a_run_is_tracked_by_tensorboard_without_asking(finished_run: Path) -> None:
    run = Run(finished_run)
    found = accumulated(run)
    for name, tag in TAGS.items():
        events = [(event.step, event.value) for event in found.Scalars(tag)]
        assert [step for step, _ in events] == [5, 10]
        values = [line[name] for line in run.epochs()]
        assert [value for _, value in events] == pytest.approx(values, rel=1e-6)
    assert "| batch_size | 8 |" in text(found, "options")
    assert "| ending | finished |\n| epochs | 2 |\n| steps | 10 |" in text(found, "summary")


def test_a_resumed_run_draws_no_step_twice(
    fit: Fit, finished_run: Path, tmp_path: Path, epoch: TrackedEpoch
) -> None:
    run = Run(Path(shutil.copytree(finished_run, tmp_path / "run")))
    # As if it was interrupted after an epoch was drawn, before its checkpoint was written.
    events = Events(run, {}, 10)
    events.log([epoch])
    time.sleep(1 - time.time() % 1)  # TensorBoard orders files by the second of their names
    assert fit(run.folder, "--resume", "--epochs", 3) == 0
    read = accumulated(run).Scalars(TAGS["discriminator_loss"])
    assert [event.step for event in read] == [5, 10, 15]
    assert read[-1].value == pytest.approx(run.epochs()[-1]["discriminator_loss"])


def test_a_run_without_trackers_has_no_events_and_resumes_with_them(
    fit: Fit, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    assert fit(run.folder, "--track", "none") == 0
    assert not run.events.exists()
    assert fit(run.folder, "--resume", "--track", "tensorboard") == 0
    assert not run.events.exists()  # nothing was left to do
    assert fit(run.folder, "--resume", "--epochs", 3) == 0
    assert [event.step for event in accumulated(run).Scalars("loss/generator")] == [15]


# MLflow, with its store of files.


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # see below
    """MLflow's own client of an empty store, which the environment names."""
    tracking_module = pytest.importorskip(
        "mlflow.tracking", reason="MLflow is not installed: pip install '.[mlflow]'"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return tracking_module.MlflowClient()


def the_run(client: Any, experiment: str = "dcgan") -> Any:
    """The only run of an experiment."""
    identifier = client.get_experiment_by_name(experiment).experiment_id
    (found,) = client.search_runs([identifier])
    return found


def test_mlflow_gets_options_figures_samples_and_summary(
    client: Any, fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "first")
    assert fit(run.folder, "--track", "mlflow") == 0
    found = the_run(client)
    assert (found.info.run_name, found.info.status) == ("first", "FINISHED")
    assert found.data.params["batch_size"] == "8"
    assert not {"data_dir", "track"} & found.data.params.keys()
    for name, tag in TAGS.items():
        history = client.get_metric_history(found.info.run_id, tag)
        assert [(one.step, one.value) for one in history] == [
            (line["step"], pytest.approx(line[name])) for line in run.epochs()
        ]
    samples = [one.path for one in client.list_artifacts(found.info.run_id, SAMPLES)]
    assert samples == ["samples/epoch-001.png", "samples/epoch-002.png"]
    assert found.data.tags["summary.steps"] == "10"
    assert f"MLflow run {found.info.run_id} at file://" in capsys.readouterr().out
    assert not run.events.exists()


def test_a_resumed_run_continues_its_run_in_mlflow(
    client: Any, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "faces")
    run = Run(tmp_path / "run")
    # A signal arrives in the first epoch.
    monkeypatch.setattr(StopSignals, "__call__", lambda _: True)
    assert fit(run.folder, "--track", "mlflow") == 143
    before = the_run(client, "faces")
    assert before.info.status == "KILLED"
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert fit(run.folder, "--resume", "--epochs", 3) == 0
    after = the_run(client, "faces")
    assert (after.info.run_id, after.info.status) == (before.info.run_id, "FINISHED")
    assert (after.data.params["epochs"], after.data.tags["resumed.epochs"]) == ("2", "3")
    history = client.get_metric_history(after.info.run_id, "epoch")
    assert [one.value for one in history] == [1, 2, 3]


def test_many_epochs_that_wait_are_sent_in_parts(
    client: Any, finished_run: Path, tmp_path: Path, epoch: TrackedEpoch
) -> None:
    run = Run(Path(shutil.copytree(finished_run, tmp_path / "run")))
    with Trackers(run, run.config(), ["mlflow"], 0) as trackers:
        for _ in range(200):
            trackers.epoch(epoch, send=False)
        identifier = the_run(client).info.run_id
        assert client.get_metric_history(identifier, SCORE_TAG) == []
    assert len(client.get_metric_history(identifier, SCORE_TAG)) == 200


# Weights & Biases: a module in its place, and itself where it is installed.


class FakeWandb(ModuleType):
    """Records what the module ``wandb`` is called with."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None, origin="wandb.py")
        self.started: list[dict[str, Any]] = []
        self.logged: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.ends: list[int] = []

    def init(self, **options: Any) -> "FakeWandb":
        self.started.append(options)
        return self

    def define_metric(self, name: str, *, step_metric: str) -> None:
        assert (name, step_metric) == ("*", "epoch")

    def log(self, values: dict[str, Any]) -> None:
        self.logged.append(values)

    def finish(self, exit_code: int) -> None:
        self.ends.append(exit_code)

    Settings = dict
    Image = Path


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    """The module in place of wandb."""
    module = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delitem(sys.modules, "training.run.wandb", raising=False)
    return module


def test_wandb_gets_options_figures_samples_and_summary(
    fake: FakeWandb, fit: Fit, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    assert fit(run.folder, "--track", "wandb,tensorboard") == 0
    assert fit(run.folder, "--resume", "--epochs", 3) == 0
    first, second = fake.started
    assert first["id"] == second["id"] == run.tracker_runs()["wandb"]
    assert (first["name"], first["dir"], first["resume"]) == ("run", str(run.folder), "allow")
    assert [one["config"]["epochs"] for one in fake.started] == [2, 3]
    assert [one["epoch"] for one in fake.logged] == [1, 2, 3]
    for logged, line in zip(fake.logged, run.epochs(), strict=True):
        assert {tag: logged[tag] for tag in TAGS.values()} == {
            tag: pytest.approx(line[name]) for name, tag in TAGS.items()
        }
        assert logged[SAMPLES] == run.samples(line["epoch"])
    assert fake.summary.items() >= {"ending": "finished", "epochs": 3, "steps": 15}.items()
    assert fake.ends == [0, 0]
    assert run.events.exists()


def test_wandb_itself_writes_a_run_offline(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: pip install '.[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = Run(tmp_path / "run")
    assert fit(run.folder, "--track", "wandb") == 0
    (folder,) = (run.folder / "wandb").glob(f"offline-run-*-{run.tracker_runs()['wandb']}")
    assert list(folder.glob("*.wandb"))


# What may fail.


class Failing:
    """A tracker that fails at one of its methods, and counts the calls of all."""

    place = ""
    fails = ""
    calls: dict[str, int]

    def __init__(self, *_: object) -> None:
        self._call("begin")

    def log(self, *_: object) -> None:
        self._call("log")

    def finish(self, *_: object) -> None:
        self._call("finish")

    def _call(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        if name == self.fails:
            raise OSError("the disk\nis full")


@pytest.mark.parametrize(
    ("fails", "calls"),
    [
        ("begin", {"begin": 1}),
        ("log", {"begin": 1, "log": 1}),
        ("finish", {"begin": 1, "log": 2, "finish": 1}),
    ],
)
def test_a_tracker_that_fails_is_left_with_one_warning(
    fit: Fit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fails: str,
    calls: dict[str, int],
) -> None:
    monkeypatch.setattr(Failing, "fails", fails)
    monkeypatch.setattr(Failing, "calls", {}, raising=False)
    monkeypatch.setattr(tracking, "_opener", lambda _: Failing)
    run = Run(tmp_path / "run")
    assert fit(run.folder) == 0
    assert len(run.epochs()) == 2
    assert run.checkpoint.exists()
    assert Failing.calls == calls
    (warning,) = (line for line in capsys.readouterr().err.splitlines() if "tracks" in line)
    assert warning == (
        "warning: tensorboard no longer tracks this run, which continues: OSError: the disk is full"
    )


@pytest.mark.parametrize(
    ("error", "ending"),
    [(StoppedError("", 143), "stopped"), (KeyboardInterrupt(), "stopped"), (OSError(), "failed")],
)
def test_a_tracker_learns_how_the_run_ended(
    finished_run: Path,
    tmp_path: Path,
    error: BaseException,
    ending: str,
) -> None:
    run = Run(Path(shutil.copytree(finished_run, tmp_path / "run")))
    shutil.rmtree(run.events)
    with (
        pytest.raises(type(error)),
        Trackers(run, run.config(), ["tensorboard"], 0),
    ):
        raise error
    assert f"| ending | {ending} |" in text(accumulated(run), "summary")


def test_the_summary_names_the_best_epoch(finished_run: Path, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(finished_run, tmp_path / "run")))
    shutil.rmtree(run.events)
    lines = [{**line, "fd_cnn": 9 - line["epoch"]} for line in run.epochs()]
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shutil.copy(run.checkpoint, run.best_checkpoint)
    with Trackers(run, run.config(), ["tensorboard"], 0):
        pass
    assert "| best_fd_cnn | 7 |\n| best_epoch | 2 |" in text(accumulated(run), "summary")


# What is refused before anything is loaded.


@pytest.mark.parametrize("track", ["neptune", "mlflow,mlflow", "mlflow,", "none,mlflow"])
def test_an_unknown_tracker_is_refused_with_those_that_there_are(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str], track: str
) -> None:
    assert fit(tmp_path / "run", "--track", track) == 2
    assert capsys.readouterr().err == (
        f"error: --track {track}: must be none, or tensorboard, mlflow and wandb, each at most "
        "once, separated by commas\n"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("spec", [None, ModuleSpec("mlflow", None, is_package=True)])
def test_a_tracker_that_is_not_installed_is_named_with_the_command_that_installs_it(
    fit: Fit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spec: ModuleSpec | None,
) -> None:
    monkeypatch.setattr(tracker_library, "find_spec", lambda _: spec)
    # The trainer, which imports torch, is not imported before.
    monkeypatch.setitem(sys.modules, "training.loop.fit", None)
    assert fit(tmp_path / "run", "--track", "mlflow") == 1
    assert capsys.readouterr().err == (
        "error: --track mlflow: mlflow is not installed: pip install '.[mlflow]'\n"
    )
    assert not (tmp_path / "run").exists()
