import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from app.artifact.card import ImageClass
from training.config import Config, for_images, from_flags
from training.gan.gan import Gan
from training.loop import banner
from training.loop import trial as trials
from training.loop.banner import Start, duration
from training.loop.threads import Threads
from training.loop.trial import NetworkSize, Trial, trial
from training.run.journal import DataSummary, Run

CPU = torch.device("cpu")
SIZES = (NetworkSize(318_724, 12.04), NetworkSize(1_000, 3.0))


def summary(images: int, classes: list[str] | None = None) -> DataSummary:
    named = classes and [ImageClass(name=name, share=1 / len(classes)) for name in classes]
    return DataSummary(
        name="folder:cats",
        licence="none",
        images=images,
        channels=3,
        height=64,
        width=64,
        classes=named,
    )


def told(start: Start, seconds: float = 1.0, done: int = 0) -> dict[str, str]:
    rows = (line.split(maxsplit=1) for line in banner.lines(start, Trial(*SIZES, seconds), done))
    return dict(rows)


def test_the_banner_of_a_small_folder() -> None:
    flags = {"generator": "paper", "discriminator": "paper", "images_seen": 480_000}
    options = for_images(from_flags({**flags, "batch_size": 64}), 100)
    start = Start(Run(Path("runs/cats")), options, summary(100), CPU, Threads(1, "of 2, as"))
    found = told(start, seconds=1.28)
    assert re.fullmatch(r".+, \d+ threads?, (fp32|bf16)", found.pop("device"))
    assert found == {
        "preset": "dcgan-28",
        "threads": "1 of 2, as",
        "data": "folder:cats: 100 colour images of 64×64",
        "labels": "none",
        "augmentation": "color, translation, cutout; fewer than 10,000 images are easily memorised",
        "generator": "paper, 318,724 parameters, 12.0 MFLOP per image",
        "discriminator": "paper, 1,000 parameters, 3.0 MFLOP per image",
        "length": "7,500 steps of 64 images, 4,800 epochs",
        # A tenth of the time is for looking at the run.
        "time": "about 2 h 58 min, 2 s per epoch, at 50 images per second; Ctrl-C saves and stops",
        "folder": "runs/cats; look at its newest picture in samples",
    }


def test_the_banner_of_a_run_with_adaptive_augmentation() -> None:
    options = from_flags({"augment": "ada"})
    found = told(Start(Run(Path("x")), options, summary(100), CPU, Threads(1)))
    expected = "ada: more while over 80% of the real images are recognised, else less"
    assert found["augmentation"] == expected


def test_the_banner_of_a_resumed_run_with_classes() -> None:
    data = summary(60_000, [f"c{number}" for number in range(20)])
    options = for_images(Config(batch_size=32, images_seen=3_000_000), 60_000)
    start = Start(Run(Path("x\x1b")), options, data, CPU, Threads(2))
    found = told(start, done=93_741)
    assert "threads" not in found
    assert found["labels"].startswith("20 classes: c0, c1, ")
    assert found["labels"].endswith(", c15, …")
    assert found["augmentation"] == "none"
    assert found["length"] == "93,750 steps of 32 images, 50 epochs; 93,741 steps are done"
    assert found["time"] == "about 10 s more, 35 min per epoch, at 32 images per second"
    assert told(start, done=93_750)["time"] == "none: all steps are done"
    assert found["folder"] == r"x\x1b; look at its newest picture in samples"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.1, "1 s"),
        (40, "40 s"),
        (90, "2 min"),
        (720, "12 min"),
        (10_200, "2 h 50 min"),
        (259_200, "3 days"),
    ],
)
def test_a_duration_is_an_estimate(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("classes", [None, ["cat", "dog"]])
def test_a_trial_finds_the_sizes_of_the_networks(
    monkeypatch: pytest.MonkeyPatch, classes: list[str] | None
) -> None:
    steps: list[int] = []
    update = Gan.update

    def counted(self: Gan, real: torch.Tensor, *more: Any) -> torch.Tensor:
        steps.append(len(real))
        return update(self, real, *more)

    monkeypatch.setattr(Gan, "update", counted)
    flags = {"preset": "leaky-64", "generator_filters": 2, "discriminator_filters": 2}
    options = from_flags({**flags, "batch_size": 8, "latent_dim": 64})
    found = trial(options, summary(100, classes), CPU, processes=2)
    assert steps == [4] * len(steps)
    assert len(steps) <= 4
    assert found.seconds > 0
    names = len(classes or ())
    inputs = 64 + names  # the latent and the class
    channels = [16, 8, 4, 2, 3]
    layers = list(zip(channels, channels[1:], [4, 8, 16, 32], strict=False))
    assert found.generator.mflop == pytest.approx(
        2 * (inputs * 16 * 16 + sum(a * b * 16 * size**2 for a, b, size in layers)) / 1e6
    )
    assert found.generator.parameters == (
        inputs * 256 + sum(a * b * 16 for a, b, _ in layers) + 3 + 2 * (16 + 8 + 4 + 2)
    )
    assert found.discriminator.parameters > 0


def test_a_trial_counts_penalties_as_often_as_they_are_due(
    make_gan: Callable[..., Gan], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def update(_: Gan, images: torch.Tensor, with_penalty: bool) -> torch.Tensor:
        nonlocal now
        now += 0.5 if with_penalty else 0.1
        return images

    monkeypatch.setattr(Gan, "update", update)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    for gamma, interval, seconds in ((0, 1, 0.1), (1, 1, 0.5), (1, 8, 0.15)):
        options = make_gan(r1_gamma=gamma, penalty_interval=interval).config
        assert trial(options, summary(9), CPU, 1).seconds == pytest.approx(seconds)


def test_a_trial_does_not_take_the_first_step_for_all_others(
    make_gan: Callable[..., Gan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first step of a new process took three times as long as those after it."""
    now, times = 0.0, iter([3.3, 1.1])

    def update(_: Gan, images: torch.Tensor, _with_penalty: bool) -> torch.Tensor:
        nonlocal now
        now += next(times)
        return images

    monkeypatch.setattr(Gan, "update", update)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    options = make_gan(r1_gamma=0).config
    assert trial(options, summary(9), CPU, 1).seconds == pytest.approx(1.1)


def test_a_trial_of_large_networks_estimates_the_time_from_few_images(
    make_gan: Callable[..., Gan], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, batches = 0.0, []

    def update(_: Gan, images: torch.Tensor, with_penalty: bool) -> torch.Tensor:
        nonlocal now
        now += len(images) * (0.5 if with_penalty else 0.1)
        batches.append(len(images))
        return images

    monkeypatch.setattr(Gan, "update", update)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    options = make_gan(r1_gamma=1, penalty_interval=8, batch_size=64).config
    each = sum(size.mflop for size in trial(options, summary(99), CPU, 1)[:2])
    for most, images in ((9 * each, 9), (each, 8), (63.5 * each, 63)):
        monkeypatch.setattr(trials, "MOST_MFLOP", most)
        batches.clear()
        found = trial(options, summary(99), CPU, 1)
        assert (found.images, {*batches}) == (images, {2, images})
        assert found.seconds == pytest.approx(64 * 0.15)
    start = Start(Run(Path("x")), options, summary(99), CPU, Threads(1))
    assert "at 6.7 images per second, estimated from steps of 63 images;" in "\n".join(
        banner.lines(start, found, 0)
    )


def test_a_trial_takes_the_steps_of_any_run(make_gan: Callable[..., Gan]) -> None:
    """The tests of whole runs have none."""
    teacher = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 256), torch.nn.Tanh())
    teacher.append(torch.nn.Unflatten(1, (1, 16, 16)))
    data = summary(9).model_copy(update={"channels": 1, "height": 16, "width": 16})
    options: dict[str, Any]
    for options, taught_by in (
        ({"r1_gamma": 1.0, "penalty_interval": 2, "augment": "ada"}, None),
        ({}, teacher),
    ):
        config = make_gan(**options).config
        assert trial(config, data, CPU, 1, taught_by).seconds > 0


def test_a_trial_does_not_change_the_run(make_gan: Callable[..., Gan]) -> None:
    before, random = make_gan(seed=3).state_dict(), torch.rand(3)
    trial(make_gan(seed=3).config, summary(9), CPU, 1)
    after = make_gan(seed=3).state_dict()
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert random.equal(torch.rand(3))
