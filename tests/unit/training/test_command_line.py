import dataclasses
import errno
import gzip
import hashlib
import io
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from PIL import Image

import app
from training.__main__ import main, parser
from training.config import Config
from training.data import idx
from training.gan.gan import Gan
from training.loop import checkpoint, outcome, recorder, reporting
from training.run.display import Display
from training.run.journal import Run

Fit = Callable[..., int]
WriteData = Callable[..., Path]

PAUSE = 10_000.0
"""Seconds before a run goes on, none of which it may count."""


def last(run: Path) -> dict[str, Any]:
    return checkpoint.load(run / "checkpoints" / "last.pt")


def assert_equal_runs(first: Path, second: Path) -> None:
    torch.testing.assert_close(last(first), last(second), rtol=0, atol=0)
    measured = [
        [{**line, "seconds": 0, "images_per_second": 0} for line in Run(run).epochs()]
        for run in (first, second)
    ]
    # A run that resumed in the middle of an epoch would report other means.
    assert measured[0] == measured[1]
    names = sorted(path.name for path in (first / "samples").iterdir())
    assert names == sorted(path.name for path in (second / "samples").iterdir())
    for name in names:
        assert (first / "samples" / name).read_bytes() == (second / "samples" / name).read_bytes()


# A run from its beginning to its end.


def test_fit_prints_every_epoch_and_writes_all_files(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert fit(run) == 0
    output = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in output[:2]] == ["epoch 1/2", "epoch 2/2"]
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    (events,) = (name for name in files if name.startswith("events/"))
    assert files - {events} == {
        "options.json",
        "data.json",
        "metrics.jsonl",
        "losses.png",
        "accuracy.png",
        "training.gif",
        "samples/epoch-001.png",
        "samples/epoch-002.png",
        "checkpoints/last.pt",
    }
    assert json.loads((run / "options.json").read_text())["batch_size"] == 8
    assert Run(run).data().shape == (1, 16, 16)
    assert [(line["epoch"], line["step"]) for line in Run(run).epochs()] == [(1, 5), (2, 10)]
    assert all(line["seconds"] > 0 for line in Run(run).epochs())
    assert last(run)["step"] == 10
    sheet = Image.open(io.BytesIO((run / "samples" / "epoch-002.png").read_bytes()))
    assert sheet.size == (128, 128)


def test_a_run_says_what_it_will_do(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", "--epochs", 1) == 0
    assert fit(tmp_path / "run", "--epochs", 2, "--resume") == 0
    lines = capsys.readouterr().err.splitlines()
    for expected in (
        "data          fashion-mnist: 40 grey images of 16×16",
        "length        5 steps of 8 images, 1 epoch",
        "length        10 steps of 8 images, 2 epochs; 5 steps are done",
        f"folder        {tmp_path}/run; look at its newest picture in samples",
    ):
        assert expected in lines


def test_a_run_ends_with_its_checkpoint_and_commands_that_parse(
    fit: Fit,
    finished_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "orig_argv", ["dcgan", "train", "fit", "--epochs", "2"])
    (tmp_path / "models" / "my-cats" / "2").mkdir(parents=True)
    run = tmp_path / "My Cats!"
    shutil.copytree(finished_run, run)
    data = Run(run).config().data_dir
    assert fit(run, "--resume") == 0
    checkpoint_line, _, *commands = capsys.readouterr().out.splitlines()
    assert checkpoint_line == (
        f"checkpoint: {run}/checkpoints/last.pt, the last, of epoch 2, without a score"
    )
    assert [shlex.split(command) for command in commands] == [
        ["dcgan", "train", "evaluate", str(run), "--data-dir", str(data)],
        ["dcgan", "train", "export", str(run), "--name", "my-cats", "--version", "3"],
    ]
    for command in commands:
        parser().parse_args(shlex.split(command)[2:])


def test_a_run_with_scores_ends_with_its_best_checkpoint(
    finished_run: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(finished_run, run.folder)
    scored = [
        {**line, "fd_cnn": score} for line, score in zip(run.epochs(), (2.25, 3.5), strict=True)
    ]
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in scored))
    shutil.copy(run.checkpoint, run.best_checkpoint)
    first, *_ = outcome.lines(run, run.config(), 40)
    assert first == f"checkpoint: {run.best_checkpoint}, the best, of epoch 1: fd_cnn 2.25"


def test_a_run_of_a_folder_without_a_feature_network_ends_with_the_command_that_trains_one(
    finished_run: Path, tmp_path: Path
) -> None:
    options = Config(dataset=f"folder:{tmp_path}/cats", image_size=32)
    *_, features, evaluate, _ = outcome.lines(Run(finished_run), options, 200)
    assert features.endswith(f"features --dataset folder:{tmp_path}/cats --image-size 32")
    assert evaluate.endswith(f"evaluate {finished_run}")
    (tmp_path / "cats-features.pt").touch()
    assert "features" not in "".join(outcome.lines(Run(finished_run), options, 200))


def test_a_run_of_too_few_images_for_a_feature_network_ends_with_export_alone(
    finished_run: Path, tmp_path: Path
) -> None:
    options = Config(dataset=f"folder:{tmp_path}/cats", image_size=32)
    _, title, command = outcome.lines(Run(finished_run), options, 199)
    assert title == "publish it:"
    assert f"export {finished_run} " in command


def test_a_run_too_short_to_learn_warns_before_it_starts(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", "--epochs", 1) == 0
    assert "warning: the run shows 40 images" in (err := capsys.readouterr().err)
    assert err.index("Use --epochs 75000") < err.index("step/s")


def test_a_run_records_the_augmentation_that_auto_chose(fit: Fit, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    assert fit(run.folder, "--augment", "auto", "--epochs", 1) == 0
    assert run.config().augment == "color,translation,cutout"
    assert fit(run.folder, "--augment", "auto", "--epochs", 2, "--resume") == 0
    assert fit(run.folder, "--augment", "none", "--epochs", 3, "--resume") == 1


def test_an_adaptive_conditional_run_shows_its_probability_and_resumes_bit_for_bit(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--augment", "ada", "--conditional", "auto", "--loss", "relativistic")
    whole, parts = Run(tmp_path / "whole"), Run(tmp_path / "parts")
    assert fit(whole.folder, *flags) == 0
    output = capsys.readouterr().out
    probabilities = [line["augment_probability"] for line in whole.epochs()]
    assert all(0 <= p <= 2 * 8 * 4 / 500_000 for p in probabilities)
    for epoch, p in enumerate(probabilities, start=1):
        assert re.search(rf"epoch {epoch}/2: .* fake \d+% p {p:.3f} \d+ img/s", output)
    assert fit(parts.folder, *flags, "--epochs", 1) == 0  # step 5: within four steps
    assert fit(parts.folder, *flags, "--resume") == 0
    assert_equal_runs(parts.folder, whole.folder)
    assert fit(parts.folder, *flags, "--augment", "none", "--resume") == 1
    assert_error(capsys, "contradicts the run, which began with --augment ada")


def test_the_same_call_gives_the_same_bits(fit: Fit, finished_run: Path, tmp_path: Path) -> None:
    assert fit(tmp_path / "run") == 0
    assert_equal_runs(tmp_path / "run", finished_run)


def test_a_long_epoch_has_one_line_and_one_checkpoint(
    fit: Fit, tmp_path: Path, write_data: WriteData
) -> None:
    data = write_data(tmp_path / "data", count=110)
    run = tmp_path / "run"
    assert fit(run, "--data-dir", data, "--batch-size", 2, "--epochs", 1) == 0
    assert [(line["epoch"], line["step"]) for line in Run(run).epochs()] == [(1, 55)]
    assert last(run)["step"] == 55


def test_the_run_uses_the_requested_threads(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    assert fit(tmp_path / "run", "--threads", 3, "--epochs", 1) == 0
    assert set_to == [3]


def test_missing_data_are_downloaded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_data: WriteData,
    capsys: pytest.CaptureFixture[str],
) -> None:
    served = write_data(tmp_path / "served", count=2000)  # too many for one packet
    labels = served / "train-labels-idx1-ubyte"
    (served / f"{labels.name}.gz").write_bytes(gzip.compress(labels.read_bytes()))
    names = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
    contents = {name: gzip.decompress((served / name).read_bytes()) for name in names}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        published = dataclasses.replace(
            idx.FASHION_MNIST,
            url=f"http://127.0.0.1:{server.server_port}/",
            installed=tmp_path / "absent",
            sha256=hashes,
        )
        monkeypatch.setitem(idx.PUBLISHED, published.name, published)
        small = ["--batch-size", "500", "--epochs", "1", "--device", "cpu"]
        small += ["--generator-filters", "1", "--discriminator-filters", "1"]
        try:
            assert main(["fit", "--out", str(tmp_path / "run"), *small]) == 0
        finally:
            server.shutdown()
            thread.join()
    assert Run(tmp_path / "run").data().images == 2000
    output = capsys.readouterr().err
    for name in names:
        assert output.count(f"{name}:   0%|          | 0.00/") == 1, "one bar per file"
        assert f"{name}: 100%" in output


# Resuming.


def test_a_resumed_run_equals_an_uninterrupted_one(
    fit: Fit, finished_run: Path, tmp_path: Path
) -> None:
    assert fit(tmp_path / "run", "--epochs", 1) == 0
    assert fit(tmp_path / "run", "--resume", "--epochs", 2) == 0
    assert_equal_runs(tmp_path / "run", finished_run)
    assert Run(tmp_path / "run").config() == Run(finished_run).config()


def test_a_run_is_resumed_from_its_folder_alone(
    fit: Fit, finished_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert fit(run, "--epochs", 1) == 0
    Run(run).write_options(Run(run).config().model_copy(update={"epochs": 2}))
    assert main(["fit", "--out", str(run), "--resume"]) == 0
    assert_equal_runs(run, finished_run)


def test_options_without_a_flag_stay_as_the_run_began(fit: Fit, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert fit(run, "--epochs", 1, "--spectral-norm", "--loss", "hinge") == 0
    before = Run(run).config()
    assert main(["fit", "--out", str(run), "--resume"]) == 0
    assert Run(run).config() == before
    assert (before.spectral_norm, before.loss) == (True, "hinge")


def test_resuming_a_finished_run_changes_no_file(fit: Fit, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert fit(run, "--epochs", 1) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert fit(run, "--resume", "--epochs", 1) == 0
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
@pytest.mark.parametrize(("step", "epoch"), [(3, 1), (8, 2)])
def test_a_stopped_run_saves_at_once_and_continues_with_the_printed_command(
    fit: Fit,
    finished_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    number: signal.Signals,
    status: int,
    step: int,
    epoch: int,
) -> None:
    run, train_step = tmp_path / "my run", Gan.train_step

    def interrupted(self: Gan, real: torch.Tensor) -> torch.Tensor:
        if self.step == step:
            signal.raise_signal(number)
        return train_step(self, real)

    monkeypatch.setattr(reporting, "REPORT_SECONDS", 0)  # a report after every step
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(Gan, "train_step", interrupted)
        assert fit(run) == status
    assert signal.getsignal(number) == before
    *_, saved, advice, publish = capfd.readouterr().err.splitlines()
    assert saved == (
        f"stopped after step {step + 1} of 10, in epoch {epoch} of 2; "
        f"saved {run}/checkpoints/last.pt"
    )
    assert advice.startswith("continue with: ")
    assert publish.startswith("or publish it as it is: ")
    assert publish.endswith(f"export {shlex.quote(str(run))} --name my-run --version 1")
    assert last(run)["step"] == step + 1
    assert len(Run(run).epochs()) == step // 5
    command = shlex.split(advice.removeprefix("continue with: "))
    clock, passed = time.perf_counter, [PAUSE]

    def begin_slowly(shown: Display) -> Display:
        passed.append(PAUSE)
        return shown

    with monkeypatch.context() as patch:
        patch.setattr(time, "perf_counter", lambda: clock() + sum(passed))
        patch.setattr(Display, "__enter__", begin_slowly)
        assert main(command[command.index("fit") :]) == 0
    assert_equal_runs(run, finished_run)
    assert all(line["seconds"] < PAUSE / 2 for line in Run(run).epochs())


def test_a_run_that_stops_at_the_end_of_an_epoch_saves_without_looking(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, train_step = Run(tmp_path / "run"), Gan.train_step

    def interrupted(self: Gan, real: torch.Tensor) -> torch.Tensor:
        if self.step == 4:
            signal.raise_signal(signal.SIGTERM)
        return train_step(self, real)

    with monkeypatch.context() as patch:
        patch.setattr(Gan, "train_step", interrupted)
        assert fit(run.folder) == 143
    assert (last(run.folder)["step"], len(run.epochs()), run.sheets()) == (5, 1, {})
    assert fit(run.folder, "--resume") == 0
    assert list(run.sheets()) == [2]


def test_a_second_ctrl_c_ends_the_run_at_once(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> torch.Tensor:
        for _ in range(10):  # Python may see signals that follow each other closely as one
            signal.raise_signal(signal.SIGINT)
        raise AssertionError

    monkeypatch.setattr(Gan, "train_step", interrupted)
    # A shell starts background commands with a SIGINT that is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert fit(tmp_path / "run") == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err.endswith("\ninterrupted\n")
    assert not Run(tmp_path / "run").checkpoint.exists()


def test_checkpoints_are_saved_after_so_many_minutes_inside_an_epoch(
    fit: Fit, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    save = checkpoint.save

    def note(state: dict[str, Any], path: Path) -> None:
        saved.append(state["step"])
        save(state, path)

    monkeypatch.setattr(checkpoint, "save", note)
    monkeypatch.setattr(reporting, "REPORT_SECONDS", 0)
    assert fit(tmp_path / "run", "--checkpoint-minutes", 1e-9) == 0
    assert saved == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert_equal_runs(tmp_path / "run", finished_run)


def test_looking_takes_a_limited_share_of_the_time(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recorder, "LOOKS_SHARE", 1e-9)
    run = Run(tmp_path / "run")
    assert fit(run.folder, "--epochs", 5) == 0
    assert [line["epoch"] for line in run.epochs()] == [1, 2, 3, 4, 5]
    assert list(run.sheets()) == [1, 5]
    output = capsys.readouterr().out.splitlines()
    shown = [line.partition(":")[0] for line in output if line.startswith("epoch ")]
    assert shown == ["epoch 1/5", "epoch 5/5"]
    with Image.open(run.animation) as image:
        assert image.n_frames == 2


def test_an_epoch_interrupted_before_its_checkpoint_is_repeated_without_a_second_line(
    fit: Fit, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = checkpoint.save

    def interrupted(state: dict[str, Any], path: Path) -> None:
        if state["step"] == 10:
            raise KeyboardInterrupt
        save(state, path)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", interrupted)
        assert fit(tmp_path / "run") == 130
    assert len(Run(tmp_path / "run").epochs()) == 2
    assert last(tmp_path / "run")["step"] == 5
    assert fit(tmp_path / "run", "--resume") == 0
    assert_equal_runs(tmp_path / "run", finished_run)


def test_an_incomplete_line_is_written_again(fit: Fit, finished_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert fit(run, "--epochs", 1) == 0
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "st')
    assert fit(run, "--resume") == 0
    assert_equal_runs(run, finished_run)


# Errors.


def assert_error(capsys: pytest.CaptureFixture[str], *parts: object) -> None:
    """The last call printed an error without a traceback, with these parts."""
    *_, text = re.split("^error: ", capsys.readouterr().err, maxsplit=1, flags=re.MULTILINE)
    assert "Traceback" not in text
    for part in parts:
        assert str(part) in text


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--dataset", "cifar-10"),
        ("--preset", "dcgan-256"),
        ("--epochs", "0"),
        ("--epochs", "many"),
        ("--batch-size", "1"),
        ("--seed", "-1"),
        ("--seed", str(2**32)),
        ("--latent-dim", "4097"),
        ("--prior", "cauchy"),
        ("--generator-filters", "0"),
        ("--loss", "wgan"),
        ("--augment", "ada,color"),
        ("--generator-lr", "0"),
        ("--discriminator-lr", "nan"),
        ("--beta1", "1"),
        ("--average-decay", "-0.5"),
        ("--device", "tpu"),
        ("--precision", "fp16"),
        ("--threads", "-1"),
    ],
)
def test_an_invalid_value_is_reported_with_its_flag_and_no_run_is_created(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, value: str
) -> None:
    assert fit(tmp_path / "run", flag, value) == 2
    assert_error(capsys, f"{flag} {value}: ")
    assert not (tmp_path / "run").exists()


def test_flags_are_not_abbreviated(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        fit(tmp_path / "run", "--epoch", 3)
    assert ended.value.code == 2
    assert "unrecognized arguments: --epoch 3" in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"python -m training {app.__version__}\n"


def test_flags_are_validated_before_torch_is_loaded(root: Path) -> None:
    lines = [
        "fit --out x --loss wgan",
        "fit --out x --teacher nowhere",
        "fit --out x --init-from nowhere",
        "fit --out x --dataset folder:nowhere",
        "fit --out x --resume",
        "evaluate x --samples 0",
        "figures x --scale 0",
        "probe x --labels 0",
        "attributes x --count 0",
        "features --epochs 0",
        "avatars --count 0",
    ]
    program = f"""
import sys
from training.__main__ import main
for line in {lines}:
    assert main(line.split()) in (1, 2), line
    assert not {{"torch", "app.runtime.providers"}} & sys.modules.keys(), line
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=root, check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    errors = ended.stderr.splitlines()
    assert len(errors) == len(lines)
    assert all(error.startswith("error: --") for error in errors)


@pytest.mark.parametrize("name", ["samples/epoch-001.png", "checkpoints/last.pt"])
def test_a_full_disk_is_an_error_that_names_the_file_and_what_to_delete(
    fit: Fit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    run = tmp_path / "run"
    path = run / name
    path.parent.mkdir(parents=True)
    if name == "checkpoints/last.pt":
        partial = path.with_name("last.pt.part")
        partial.touch()

        def write(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(checkpoint, "save", write)
    else:
        path.symlink_to("/dev/full")
    assert fit(run) == 1
    assert_error(capsys, f"{path}: the disk is full, ", " MB are free", f"deleting {run}/samples")
    assert not [*run.rglob("*.part")]


def test_all_invalid_values_are_reported_together(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", "--epochs", 0, "--loss", "wgan") == 2
    assert_error(capsys, "--epochs 0: ", "--loss wgan: ")


def test_an_empty_path_is_an_error_that_names_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    for command, flag in {
        "fit": "--out=",
        "fit --out=x": "--init-from=",
        "features": "--out=",
        "avatars": "--out=",
        "default --name=x --version=1": "--models=",
    }.items():
        try:
            status: object = main([*command.split(), flag])
        except SystemExit as ended:  # of a flag without which no command begins
            status = ended.code
        assert status == 2
        said = capsys.readouterr().err
        assert flag.removesuffix("=") in said.splitlines()[-1]
        assert said.endswith("must be a path, but is empty\n")


def test_a_folder_with_a_run_needs_resume(
    fit: Fit, finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = last(finished_run)
    assert fit(finished_run) == 1
    assert_error(capsys, finished_run, "--resume")
    torch.testing.assert_close(last(finished_run), before, rtol=0, atol=0)


def test_a_folder_without_a_run_cannot_be_resumed(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path, "--resume") == 1
    assert_error(capsys, f"--resume: no run in {tmp_path}", "--out")


def test_an_unwritable_folder_is_an_error(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").touch()
    assert fit(tmp_path / "run") == 1
    assert_error(capsys, tmp_path / "run", "cannot be written")


@pytest.mark.parametrize(
    ("flags", "before"),
    [
        (["--seed", "3"], "--seed 0"),
        (["--loss", "hinge"], "--loss bce"),
        (["--spectral-norm"], "--no-spectral-norm"),
        (["--augment", "cutout"], "--augment none"),
        (["--classes", "bag"], "--classes ''"),
        (["--image-size", "16"], "no --image-size"),
        (["--init-from", "models/digits"], "no --init-from"),
    ],
)
def test_a_run_is_not_resumed_with_other_options(
    fit: Fit,
    finished_run: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    before: str,
) -> None:
    assert fit(finished_run, "--resume", *flags) == 1
    words = f"{' '.join(flags)} contradicts the run, which began with {before}"
    assert_error(capsys, words)


def test_a_run_is_not_resumed_for_fewer_epochs_than_it_has_done(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", "--epochs", 2) == 0
    before = (tmp_path / "run/options.json").read_bytes()
    assert fit(tmp_path / "run", "--resume", "--epochs", 1) == 1
    assert_error(capsys, "--epochs 1: the run has done more epochs already")
    assert (tmp_path / "run/options.json").read_bytes() == before


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nMore."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        MemoryError("Unable to allocate 9 GiB for an array"),
    ],
    ids=["GPU", "CPU", "NumPy"],
)
def test_too_little_memory_is_an_error_of_one_line(
    fit: Fit,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def update(*_: object) -> None:
        raise error

    monkeypatch.setattr(Gan, "update", update)
    assert fit(tmp_path / "run") == 1
    *_, last_line = capsys.readouterr().err.splitlines()
    assert last_line.startswith(f"error: out of memory: {str(error).partition(chr(10))[0]}; use")
    assert "--batch-size" in last_line


def test_another_error_of_pytorch_is_not_one_of_memory(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def update(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(Gan, "update", update)
    with pytest.raises(RuntimeError, match="a fault"):
        fit(tmp_path / "run")


def test_a_run_is_not_resumed_from_the_checkpoint_of_another(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, filters in (("run", 2), ("other", 3)):
        assert fit(tmp_path / name, "--epochs", 1, "--generator-filters", filters) == 0
    (tmp_path / "other/checkpoints/last.pt").replace(tmp_path / "run/checkpoints/last.pt")
    assert fit(tmp_path / "run", "--resume") == 1
    *_, last_line = capsys.readouterr().err.splitlines()
    assert last_line.startswith("error: the checkpoint belongs to other networks")


def test_a_run_is_not_resumed_with_an_invalid_value(
    fit: Fit, finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(finished_run, "--resume", "--epochs", 0) == 2
    assert_error(capsys, "--epochs 0: ")


def test_a_run_is_not_resumed_with_other_data(
    fit: Fit,
    finished_run: Path,
    tmp_path: Path,
    write_data: WriteData,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = write_data(tmp_path / "other", count=48)
    assert fit(finished_run, "--resume", "--data-dir", other) == 1
    assert_error(capsys, finished_run, "images 40, not 48")


def test_a_run_with_a_damaged_checkpoint_is_not_resumed(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", "--epochs", 1) == 0
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    path.write_bytes(path.read_bytes()[:-100])
    assert fit(tmp_path / "run", "--resume") == 1
    assert_error(capsys, path)


@pytest.mark.parametrize(
    ("height", "width", "count", "complaint"),
    [(14, 14, 40, "14"), (16, 22, 40, "22"), (260, 260, 8, "260"), (16, 16, 5, "5 images")],
    ids=["too small", "no multiple of 4", "too large", "too few"],
)
def test_no_run_is_created_for_unsuitable_images(
    fit: Fit,
    tmp_path: Path,
    write_data: WriteData,
    capsys: pytest.CaptureFixture[str],
    height: int,
    width: int,
    count: int,
    complaint: str,
) -> None:
    data = write_data(tmp_path / "data", count, height, width)
    assert fit(tmp_path / "run", "--data-dir", data) == 1
    assert_error(capsys, complaint)
    assert not (tmp_path / "run").exists()


def test_a_folder_without_data_is_an_error(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", "--data-dir", tmp_path) == 1
    assert_error(capsys, tmp_path, "train-images-idx3-ubyte")
    assert not (tmp_path / "run").exists()


def test_a_missing_gpu_is_an_error(
    fit: Fit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fit(tmp_path / "run", "--device", "cuda") == 1
    assert_error(capsys, "--device cuda")
    assert not (tmp_path / "run").exists()


def test_a_diverged_run_keeps_its_last_checkpoint(
    fit: Fit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_step = Gan.train_step

    def poisoned(self: Gan, real: torch.Tensor) -> torch.Tensor:
        if self.step == 7:
            with torch.no_grad():
                next(self.generator.parameters()).fill_(float("nan"))
        return train_step(self, real)

    monkeypatch.setattr(Gan, "train_step", poisoned)
    assert fit(tmp_path / "run") == 1
    assert_error(capsys, "step 10: ")
    assert last(tmp_path / "run")["step"] == 5


def test_exporting_a_folder_without_a_run_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(tmp_path), "--name", "a", "--version", "1"]) == 1
    assert_error(capsys, f"no run in {tmp_path}")


# The help.


def test_help_lists_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--help"])
    assert ended.value.code == 0
    output = capsys.readouterr().out
    for name, field in Config.model_fields.items():
        assert f"--{name.replace('_', '-')}" in output
        if field.annotation is bool:
            assert f"--no-{name.replace('_', '-')}" in output


@pytest.mark.parametrize(
    "call",
    [[], ["train"], ["fit"], ["fit", "--out", "x", "--colour", "blue"], ["export", "x"]],
    ids=["no command", "unknown command", "no --out", "unknown flag", "no name"],
)
def test_a_wrong_call_prints_the_usage(call: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(call)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: python -m training")
