import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from training.errors import TrainingError
from training.loop import checkpoint
from training.loop.distributed import ALONE, Group, joined
from training.run.journal import Run

SHARE = """
import sys, torch
from torch import nn
from training.loop.distributed import joined

torch.manual_seed(0)
network, images, shapes = nn.Linear(3, 2), torch.randn(6, 3), nn.Linear(2, 2)
with joined(torch.device("cpu")) as (group, where):
    rows = group.share(images)
    network(rows).square().sum(dim=1).mean().backward()
    group.average_gradients([*network.parameters(), *shapes.parameters()])
    average = [parameter.grad.clone() for parameter in network.parameters()]
    network.zero_grad()
    network(images).square().sum(dim=1).mean().backward()
    torch.testing.assert_close(average, [parameter.grad for parameter in network.parameters()])
    assert all(parameter.grad is None for parameter in shapes.parameters())
    assert group.mean(torch.tensor(float(group.rank))).item() == (group.size - 1) / 2
    assert group.leads == (group.rank == 0)
    print(f"rank {group.rank} of {group.size} on {where}: rows {rows.shape[0]}", flush=True)
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(root: Path) -> Start:
    """Starts ``torchrun`` for two processes."""

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


@pytest.fixture
def fit_in_two(start: Start, tiny_flags: list[str]) -> Callable[..., tuple[int, str]]:
    """The tiny run by two processes; how it ended and what it told."""

    def fitted(out: Path, *flags: object) -> tuple[int, str]:
        process = start("-m", "training", "fit", "--out", out, *tiny_flags, *flags)
        told, _ = process.communicate(timeout=120)
        return process.returncode, told

    return fitted


def test_a_process_without_others_is_alone() -> None:
    with joined(torch.device("cpu")) as (group, device):
        assert (group, device) == (ALONE, torch.device("cpu"))
    images = torch.arange(6).view(3, 2)
    assert torch.equal(ALONE.share(images), images)
    assert torch.equal(ALONE.mean(images), images)
    assert ALONE.leads


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_shares_are_the_batch(size: int) -> None:
    batch = torch.arange(8)
    shares = [Group(rank, size).share(batch) for rank in range(size)]
    assert torch.equal(torch.cat(shares), batch)
    assert {len(share) for share in shares} == {8 // size}


def test_averaged_gradients_are_those_of_the_whole_batch(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "share.py"
    script.write_text(SHARE)
    process = start(script)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert "rank 0 of 2 on cpu: rows 3" in told
    assert "rank 1 of 2 on cpu: rows 3" in told


def test_two_processes_keep_one_journal(
    fit_in_two: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, told = fit_in_two(tmp_path / "run")
    assert code == 0, told
    assert told.count("epoch 2/2") == 1
    run = Run(tmp_path / "run")
    lines = run.epochs()
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 5), (2, 10)]
    assert sorted(path.name for path in (run.folder / "samples").iterdir()) == [
        "epoch-001.png",
        "epoch-002.png",
    ]


def same_state(one: Path, other: Path) -> bool:
    first, second = checkpoint.load(Run(one).checkpoint), checkpoint.load(Run(other).checkpoint)
    try:
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    except AssertionError:
        return False
    return True


def test_two_processes_go_on_exactly(
    fit_in_two: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    assert fit_in_two(tmp_path / "whole")[0] == 0
    assert fit_in_two(tmp_path / "parts", "--epochs", 1)[0] == 0
    assert not same_state(tmp_path / "whole", tmp_path / "parts")
    assert fit_in_two(tmp_path / "parts", "--epochs", 2, "--resume")[0] == 0
    assert same_state(tmp_path / "whole", tmp_path / "parts")


def test_one_process_goes_on_where_two_stopped(
    fit_in_two: Callable[..., tuple[int, str]], fit: Callable[..., int], tmp_path: Path
) -> None:
    assert fit_in_two(tmp_path / "run", "--epochs", 1)[0] == 0
    assert fit(tmp_path / "run", "--resume") == 0
    assert [line["step"] for line in Run(tmp_path / "run").epochs()] == [5, 10]


def test_the_end_of_one_process_is_the_end_of_all(
    start: Start, tiny_flags: list[str], tmp_path: Path
) -> None:
    flags = [*tiny_flags, "--epochs", "100000"]
    process = start("-m", "training", "fit", "--out", tmp_path / "run", *flags)
    deadline = time.monotonic() + 60
    while not Run(tmp_path / "run").checkpoint.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert checkpoint.load(Run(tmp_path / "run").checkpoint)["step"] >= 5


def test_a_batch_that_cannot_be_shared_is_refused(
    fit_in_two: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, told = fit_in_two(tmp_path / "run", "--batch-size", 7)
    assert code != 0
    assert "--batch-size 7: must be a multiple of 2" in told
    assert not (tmp_path / "run").exists()


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    words = "process 1 of this machine has no GPU: there are 1"
    with pytest.raises(TrainingError, match=words), joined(torch.device("cuda")):
        pass
