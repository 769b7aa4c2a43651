from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.errors import CollapsedError
from training.gan.gan import Gan
from training.loop import checkpoint, collapse
from training.loop.collapse import CollapseDetector, is_collapsed
from training.run.journal import Run
from training.run.report import Report


def report(
    epoch: int = 1, loss: float = 0.001, real: float = 1.0, fake: float = 1.0, steps: int = 500
) -> Report:
    return Report(epoch, epoch * steps, True, loss, 9.0, real, fake, 100.0)


@pytest.mark.parametrize(
    ("loss", "real", "fake", "expected"),
    [
        (0.001, 1, 1, True),
        (0.01, 0.999, 0.999, True),
        (0.02, 1, 1, False),
        (0.001, 0.998, 1, False),
        (0.001, 1, 0.998, False),
        (0.78, 0.8, 0.8, False),
        (1.39, 0.5, 0.5, False),
    ],
)
def test_a_run_has_collapsed_if_the_discriminator_is_right_and_certain(
    loss: float, real: float, fake: float, expected: bool
) -> None:
    assert is_collapsed(report(loss=loss, real=real, fake=fake)) is expected


def detect(allowed: int, losses: list[float], steps: int = 500) -> list[bool]:
    detector = CollapseDetector(allowed, 0)
    reports = (report(epoch, loss, steps=steps) for epoch, loss in enumerate(losses, start=1))
    return [detector.update(one) for one in reports]


def test_the_last_allowed_collapsed_epoch_in_a_row_ends_the_run() -> None:
    assert detect(3, [0.8, 0, 0, 0.8, 0, 0]) == [False, True, True, False, True, True]
    with pytest.raises(
        CollapsedError, match=r"epoch 7: for 3 epochs .* at a loss of 0: .*--r1-gamma"
    ):
        detect(3, [0.8, 0, 0, 0.8, 0, 0, 0])


def test_a_run_does_not_end_after_few_steps() -> None:
    assert detect(3, [0] * 9, steps=100) == [True] * 9
    with pytest.raises(CollapsedError, match="epoch 10: for 10 epochs"):
        detect(3, [0] * 10, steps=100)


def test_zero_epochs_switch_the_detection_off() -> None:
    assert detect(0, [0] * 9) == [False] * 9


# In a run.


@pytest.fixture
def collapsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run collapses from its third epoch of five steps on, and may end after ten."""
    train_step = Gan.train_step

    def step(self: Gan, real: Tensor) -> Tensor:
        values = train_step(self, real)
        return torch.tensor([0.0, 9, 1, 1]) if self.step > 10 else values

    monkeypatch.setattr(Gan, "train_step", step)
    monkeypatch.setattr(collapse, "MIN_STEPS", 10)


@pytest.mark.usefixtures("collapsing")
def test_a_collapsed_run_keeps_the_checkpoint_from_before(
    fit: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path)
    assert fit(tmp_path, "--epochs", 6) == 1
    assert "error: epoch 5: for 3 epochs the discriminator" in capsys.readouterr().err
    assert checkpoint.load(run.checkpoint)["step"] == 10
    assert len(run.epochs()) == 5
    assert fit(tmp_path, "--resume", "--epochs", 6) == 1  # it collapses again
    assert fit(tmp_path, "--resume", "--epochs", 6, "--collapse-epochs", 0) == 0
    assert checkpoint.load(run.checkpoint)["step"] == 30
    assert len(run.epochs()) == 6


@pytest.mark.usefixtures("collapsing")
def test_a_run_that_ends_first_keeps_its_last_checkpoint(
    fit: Callable[..., int], tmp_path: Path
) -> None:
    assert fit(tmp_path, "--epochs", 4) == 0
    assert checkpoint.load(Run(tmp_path).checkpoint)["step"] == 20
