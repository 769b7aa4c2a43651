"""Training in processes of its own: started by ``torchrun``, killed, terminated, resumed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests import tiny_run
from tests.bench.serving import free_port
from tests.waiting import scaled
from training.__main__ import main
from training.loop import checkpoint
from training.run.journal import Run

COMPARE_GRADIENTS = """
import torch
from torch import nn
from training.loop.distributed import joined_group

torch.manual_seed(0)
network, images, unused = nn.Linear(3, 2), torch.randn(6, 3), nn.Linear(2, 2)
with joined_group(torch.device("cpu")) as (group, device):
    rows = group.share(images)
    network(rows).square().sum(dim=1).mean().backward()
    group.average_gradients([*network.parameters(), *unused.parameters()])
    average = [parameter.grad.clone() for parameter in network.parameters()]
    network.zero_grad()
    network(images).square().sum(dim=1).mean().backward()
    torch.testing.assert_close(average, [parameter.grad for parameter in network.parameters()])
    assert all(parameter.grad is None for parameter in unused.parameters())
    assert group.mean(torch.tensor(float(group.rank))).item() == (group.size - 1) / 2
    assert group.is_main == (group.rank == 0)
    print(f"rank {group.rank} of {group.size} on {device}: rows {rows.shape[0]}", flush=True)
"""

FIT = """
import json, os, sys
from training.__main__ import main

os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"  # it knows the addresses of the group before
for port, call in json.loads(sys.argv[1]):
    os.environ["MASTER_PORT"] = str(port)
    assert main(["fit", *call]) == 0, call
"""

Start = Callable[..., subprocess.Popen[str]]


class InTwo(NamedTuple):
    """What two processes have done, one thing after the other: to start them takes most time."""

    output: str
    first: Path
    """A run of one epoch. Read only."""
    whole: Path
    """A run of two epochs."""
    parts: Path
    """The same, resumed after the first epoch."""


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return tiny_run.tiny_flags(tiny_run.write_data(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def start(root: Path) -> Start:
    """Starts two processes by ``torchrun``."""

    def started(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
        return subprocess.Popen(
            [*command, *map(str, arguments)],
            cwd=root,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return started


@pytest.fixture(scope="module")
def in_two(start: Start, flags: list[str], tmp_path_factory: pytest.TempPathFactory) -> InTwo:
    folder = tmp_path_factory.mktemp("two")
    runs = {name: folder / name for name in ("first", "whole", "parts")}
    calls = [
        ["--out", str(runs["first"]), *flags, "--epochs", "1"],
        ["--out", str(runs["whole"]), *flags, "--augment", "ada"],
        ["--out", str(runs["parts"]), *flags, "--augment", "ada", "--epochs", "1"],
        ["--out", str(runs["parts"]), *flags, "--augment", "ada", "--epochs", "2", "--resume"],
    ]
    (folder / "program.py").write_text(COMPARE_GRADIENTS + FIT)
    process = start(folder / "program.py", json.dumps([(free_port(), call) for call in calls]))
    output, _ = process.communicate(timeout=scaled(180))
    assert process.returncode == 0, output
    return InTwo(output, **runs)


def last_checkpoint(run: Path) -> dict[str, object]:
    return checkpoint.load(Run(run).checkpoint)


def test_averaged_gradients_are_those_of_the_whole_batch(in_two: InTwo) -> None:
    assert "rank 0 of 2 on cpu: rows 3" in in_two.output
    assert "rank 1 of 2 on cpu: rows 3" in in_two.output


def test_two_processes_write_one_journal_and_resume_bit_for_bit(in_two: InTwo) -> None:
    assert in_two.output.count("epoch 2/2") == 2  # once in each of the runs of two epochs
    run = Run(in_two.whole)
    assert [(line["epoch"], line["step"]) for line in run.epochs()] == [(1, 5), (2, 10)]
    assert "adaptive" in last_checkpoint(in_two.whole)
    samples = sorted(path.name for path in (run.folder / "samples").iterdir())
    assert samples == ["epoch-001.png", "epoch-002.png"]
    torch.testing.assert_close(
        last_checkpoint(in_two.parts), last_checkpoint(in_two.whole), rtol=0, atol=0
    )


def test_one_process_resumes_a_run_of_two(in_two: InTwo, flags: list[str], tmp_path: Path) -> None:
    assert last_checkpoint(in_two.first)["step"] == 5
    run = Path(shutil.copytree(in_two.first, tmp_path / "run"))
    assert main(["fit", "--out", str(run), *flags, "--resume"]) == 0
    assert [line["step"] for line in Run(run).epochs()] == [5, 10]


def test_a_signal_to_torchrun_ends_all_processes(
    start: Start, flags: list[str], tmp_path: Path
) -> None:
    further = [*flags, "--epochs", "100000"]
    process = start("-m", "training", "fit", "--out", tmp_path / "run", *further)
    deadline = time.monotonic() + scaled(60)
    while not Run(tmp_path / "run").checkpoint.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=scaled(60))
    assert process.returncode != 0
    assert output.count("continue with: torchrun --nproc-per-node 2 -m training fit --resume") == 1
    assert f"saved {tmp_path}/run/checkpoints/last.pt" in output
    assert last_checkpoint(tmp_path / "run")["step"] >= 5


def test_a_killed_run_resumed_ends_with_the_bits_of_an_uninterrupted_one(
    flags: list[str], root: Path, tmp_path: Path
) -> None:
    killed, whole = Run(tmp_path / "killed"), Run(tmp_path / "whole")
    call = ["-m", "training", "fit", "--out", str(killed.folder), *flags, "--epochs", "100000"]
    with subprocess.Popen(
        [sys.executable, *call], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not (killed.metrics.exists() and killed.metrics.stat().st_size):
                assert process.poll() is None
                time.sleep(0.01)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    # The moment of the signal is chance. One epoch more than the run has is always a target.
    epochs = str(len(killed.metrics.read_text().splitlines()) + 1)
    resumed = ["fit", "--out", str(killed.folder), *flags, "--resume", "--epochs", epochs]
    assert main(resumed) == 0
    assert main(["fit", "--out", str(whole.folder), *flags, "--epochs", epochs]) == 0
    torch.testing.assert_close(
        last_checkpoint(killed.folder), last_checkpoint(whole.folder), rtol=0, atol=0
    )
    measured = [
        [{**line, "seconds": 0, "images_per_second": 0} for line in run.epochs()]
        for run in (killed, whole)
    ]
    assert measured[0] == measured[1]
    both = killed.sheets().keys() & whole.sheets().keys()  # the time decides about the others
    assert both >= {1, int(epochs)}
    for epoch in both:
        assert killed.samples(epoch).read_bytes() == whole.samples(epoch).read_bytes()


def test_the_module_is_a_program(root: Path) -> None:
    call = [sys.executable, "-m", "training", "fit"]
    ended = subprocess.run(call, cwd=root, check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("usage: python -m training")
