import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from training.gan.gan import Gan
from training.gan.process_group import ProcessGroup
from training.loop.epochs import Control, TrainingData, train
from training.loop.reporting import EpochSoFar

MakeGan = Callable[..., Gan]
Seconds = Callable[[float], Gan]
IMAGES = torch.zeros(400, 1, 16, 16, dtype=torch.uint8)


class Clock:
    """A clock that only moves when it is told to."""

    now = 0.0

    def __init__(self) -> None:
        self.pauses: dict[int, float] = {}
        """Further seconds that a step takes, by its number."""

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


@pytest.fixture
def seconds(make_gan: MakeGan, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Seconds:
    """Makes networks whose steps take so many seconds of the clock."""

    def made(duration: float) -> Gan:
        gan = make_gan()

        def step(_: Tensor) -> Tensor:
            gan.step += 1
            clock.now += duration + clock.pauses.get(gan.step, 0)
            return torch.ones(4)

        monkeypatch.setattr(gan, "train_step", step)
        return gan

    return made


@pytest.mark.parametrize(
    ("duration", "steps"),
    [(0.01, [50, 100]), (0.25, [4, 8, 12]), (0.4, [3, 5, 7]), (3.0, [1, 2, 3])],
)
def test_a_report_comes_once_a_second_or_after_every_longer_step(
    seconds: Seconds, duration: float, steps: list[int]
) -> None:
    gan = seconds(duration)
    reports = [report.step for report in train(gan, TrainingData(IMAGES), 100)]
    assert reports[: len(steps)] == steps


def test_the_time_that_the_reader_of_a_report_takes_does_not_count(
    seconds: Seconds, clock: Clock
) -> None:
    for report in train(seconds(0.5), TrainingData(IMAGES), 100):
        assert report.images_per_second == pytest.approx(8)
        clock.now += 1000


def test_the_throughput_is_that_of_this_process_and_recovers_from_a_pause(
    seconds: Seconds, clock: Clock
) -> None:
    gan = seconds(0.5)
    clock.pauses, gan.step = {150: 950.0}, 90
    # A run that was resumed: another process took hours for 90 of the 100 steps of the epoch.
    epoch = EpochSoFar(torch.full((4,), 90.0), steps=90, seconds=10_000.0)
    reports = train(gan, TrainingData(IMAGES), 200, control=Control(epoch=epoch))
    found = {report.step: report.images_per_second for report in reports}
    assert {found.pop(step) for step in range(92, 150, 2)} == {8.0}
    assert found[150] < 0.1
    assert found[171] == 8.0
    assert found[200] == pytest.approx(4 * 100 / (50 + 950))  # that of the whole epoch


def test_processes_of_a_group_agree_on_the_steps_by_the_time_before_the_last_report(
    seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProcessGroup, "mean", lambda _, values: values)
    gan = seconds(0.25)
    gan.group = ProcessGroup(0, 2)
    reports = [report.step for report in train(gan, TrainingData(IMAGES), 100)]
    # At the first report nobody knows the time of a step.
    assert reports[:4] == [1, 2, 6, 10]


def test_all_processes_stop_if_one_of_them_must(
    make_gan: MakeGan, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other one wants to stop.
    other = torch.tensor([0, 0, 0, 0, 0, 1.0])
    monkeypatch.setattr(ProcessGroup, "mean", lambda _, values: (values + other) / 2)
    gan = make_gan()
    gan.group = ProcessGroup(0, 2)
    monkeypatch.setattr(ProcessGroup, "average_gradients", lambda *_: None)
    (report,) = train(gan, TrainingData(IMAGES), 100)
    assert (report.step, report.stopping) == (1, True)


def test_training_stops_after_a_report_and_the_epoch_so_far_is_kept(
    seconds: Seconds,
) -> None:
    gan = seconds(2.0)
    epoch = EpochSoFar.restored({}, gan)
    control = Control(stop=lambda: gan.step == 7, epoch=epoch)
    reports = list(train(gan, TrainingData(IMAGES), 1000, control=control))
    assert [report.stopping for report in reports] == [False] * 6 + [True]
    state = epoch.state()
    assert (state["steps"], state["seconds"], state["totals"].tolist()) == (7, 14.0, [7.0] * 4)
