"""Process groups without processes. Groups of real processes are in tests/process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from training.errors import TrainingError
from training.gan.process_group import SINGLE_PROCESS, ProcessGroup
from training.loop import fit as fit_module
from training.loop.distributed import joined_group


def test_without_torchrun_a_process_trains_alone() -> None:
    with joined_group(torch.device("cpu")) as (group, device):
        assert (group, device) == (SINGLE_PROCESS, torch.device("cpu"))
    images = torch.arange(6).view(3, 2)
    assert torch.equal(SINGLE_PROCESS.share(images), images)
    assert torch.equal(SINGLE_PROCESS.mean(images), images)
    assert SINGLE_PROCESS.is_main


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_shares_make_up_the_batch(size: int) -> None:
    batch = torch.arange(8)
    shares = [ProcessGroup(rank, size).share(batch) for rank in range(size)]
    assert torch.equal(torch.cat(shares), batch)
    assert {len(share) for share in shares} == {8 // size}


def test_a_batch_that_cannot_be_shared_equally_is_an_error(
    fit: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @contextmanager
    def two_processes(device: torch.device) -> Iterator[tuple[ProcessGroup, torch.device]]:
        yield ProcessGroup(0, 2), device

    monkeypatch.setattr(fit_module, "joined_group", two_processes)
    assert fit(tmp_path / "run", "--batch-size", 7) == 1
    assert "error: --batch-size 7: must be a multiple of 2" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_more_processes_than_gpus_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    text = "process 1 on this machine has no GPU: PyTorch finds 1"
    with pytest.raises(TrainingError, match=text), joined_group(torch.device("cuda")):
        pass


def test_a_process_with_gpus_joins_by_nccl_on_the_gpu_of_its_rank(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    monkeypatch.setattr(
        dist, "init_process_group", lambda name, device_id: calls.append((name, device_id))
    )
    monkeypatch.setattr(dist, "get_rank", lambda: 3)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: calls.append("destroyed"))
    own = torch.device("cuda", 1)
    with joined_group(torch.device("cuda")) as (group, device):
        assert (group, device) == (ProcessGroup(3, 4), own)
        assert calls == [1, ("nccl", own)]
    assert calls[2:] == ["destroyed"]
