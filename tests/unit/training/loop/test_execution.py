"""Eager, compiled and graphed steps, as far as a CPU can test them; the rest is in tests/gpu."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu

from tests.synchronisation import SynchronisationWatch
from training.errors import TrainingError
from training.gan.gan import Gan
from training.gan.process_group import ProcessGroup
from training.loop import execution
from training.loop.epochs import TrainingData, epoch_order, train
from training.loop.execution import (
    WARM_UP_STEPS,
    CudaGraphs,
    DeviceWork,
    GraphedSteps,
    Step,
    select_step,
)

MakeGan = Callable[..., Gan]

OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "penalties": {"r1_gamma": 1, "r2_gamma": 1, "penalty_interval": 3},
    "augmented pairs": {"loss": "relativistic", "augment": "color,translation,cutout"},
    "adaptive": {"loss": "relativistic", "augment": "ada"},
    "hinge and spectral norm": {"loss": "hinge", "spectral_norm": True, "prior": "uniform"},
    "dropout and mirrors": {"dropout": 0.3, "batch_norm": False, "mirror": True},
}
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())


@pytest.fixture
def images() -> Tensor:
    """Seven batches of four images, and two more images."""
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (30, 1, 16, 16), dtype=torch.uint8, generator=random)


def assert_same_bits(first: dict[str, Any], second: dict[str, Any]) -> None:
    torch.testing.assert_close(first, second, rtol=0, atol=0)


# The results equal those of a plain training loop.


class Plain:
    """A training loop as usually written, over copies of the networks of ``gan``."""

    def __init__(self, gan: Gan) -> None:
        self.config = gan.config
        self.generator = copy.deepcopy(gan.generator)
        self.discriminator = copy.deepcopy(gan.discriminator)
        betas = (self.config.beta1, self.config.beta2)
        self.optimisers = {
            network: torch.optim.Adam(network.parameters(), rate, betas, foreach=False)
            for network, rate in (
                (self.generator, self.config.generator_lr),
                (self.discriminator, self.config.discriminator_lr),
            )
        }

    def step(self, pixels: Tensor, number: int) -> tuple[float, float]:
        real = pixels.float() / 127.5 - 1
        fake = self.generator(torch.randn(len(real), self.config.latent_dim))
        judged_real, judged_fake = self.judge(real, fake.detach())
        d_loss = self.loss(judged_real, 1) + self.loss(judged_fake, 0)
        total = d_loss
        if self.config.r1_gamma and number % self.config.penalty_interval == 0:
            total = d_loss + self.config.penalty_interval * self.penalty(real)
        self.update(self.discriminator, total)
        logits = self.discriminator(fake)
        g_loss = -logits.mean() if self.config.loss == "hinge" else self.loss(logits, 1)
        self.update(self.generator, g_loss)
        return d_loss.item(), g_loss.item()

    def judge(self, real: Tensor, fake: Tensor) -> Sequence[Tensor]:
        if self.config.spectral_norm:  # each forward pass is an iteration of the power method
            return self.discriminator(torch.cat([real, fake])).chunk(2)
        return self.discriminator(real), self.discriminator(fake)

    def loss(self, logits: Tensor, target: int) -> Tensor:
        if self.config.loss == "hinge":
            return relu(1 - logits if target else 1 + logits).mean()
        return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    def penalty(self, real: Tensor) -> Tensor:
        real = real.clone().requires_grad_()
        (slopes,) = torch.autograd.grad(self.discriminator(real).sum(), real, create_graph=True)
        return self.config.r1_gamma / 2 * (slopes**2).sum() / len(real)

    def update(self, network: nn.Module, loss: Tensor) -> None:
        self.optimisers[network].zero_grad()
        loss.backward()
        self.optimisers[network].step()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "hinge", "spectral_norm": True},
        {"r1_gamma": 1.0, "penalty_interval": 3, "loss": "hinge", "spectral_norm": True},
    ],
    ids=["as it is", "hinge and spectral norm", "penalties"],
)
def test_the_losses_equal_those_of_a_plain_loop(
    make_gan: MakeGan, images: Tensor, options: dict[str, Any]
) -> None:
    # A low learning rate keeps rounding errors from growing.
    slow = {"generator_lr": 2e-4, "discriminator_lr": 2e-4}
    gan = make_gan(generator_filters=8, discriminator_filters=8, **slow, **options)
    plain, state = Plain(gan), torch.get_rng_state()
    expected = []
    for number in range(21):
        epoch, k = divmod(number, 7)
        rows = epoch_order(30, 0, epoch)[4 * k : 4 * k + 4]
        expected.append(plain.step(images[rows], number))
    torch.set_rng_state(state)
    step, found = select_step(gan, "auto"), []
    for number in range(21):
        epoch, k = divmod(number, 7)
        d_loss, g_loss, *_ = step(images[epoch_order(30, 0, epoch)[4 * k : 4 * k + 4]]).tolist()
        found.append((d_loss, g_loss))
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-3, atol=1e-4)
    assert torch.tensor(found).std(dim=0).min() > 0.01  # the curves are not constant


def test_over_100_steps_the_loss_curves_equal_those_of_a_plain_loop(
    make_gan: MakeGan, images: Tensor
) -> None:
    """Rounding errors grow from step to step, so means of 25 steps are compared."""
    slow = {"generator_lr": 2e-4, "discriminator_lr": 2e-4}
    gan = make_gan(generator_filters=4, discriminator_filters=4, **slow)
    plain, state = Plain(gan), torch.get_rng_state()
    batches = [images[epoch_order(30, 0, epoch)[:4]] for epoch in range(100)]
    expected = torch.tensor([plain.step(real, number) for number, real in enumerate(batches)])
    torch.set_rng_state(state)
    step = select_step(gan, "auto")
    found = torch.stack([step(real)[:2].clone() for real in batches])
    curves = [losses.reshape(4, 25, 2).mean(dim=1) for losses in (found, expected)]
    torch.testing.assert_close(*curves, rtol=0.05, atol=0.01)
    assert (curves[0][0] - curves[0][3]).abs().min() > 0.02  # the curves are not constant


def steps(step: Step, images: Tensor) -> list[list[float]]:
    """The values that fourteen steps return."""
    return [step(images[2 * k : 2 * k + 4]).tolist() for k in range(14)]


# Requirements of a CUDA graph.


@each_option
def test_an_update_does_not_wait_for_the_device(
    make_gan: MakeGan, images: Tensor, options: dict[str, Any]
) -> None:
    gan = make_gan(**options)
    gan.train_step(images[:4])
    with SynchronisationWatch() as watch:
        gan.update(images[4:8], with_penalty=bool(gan.config.r1_gamma))
    assert watch.waits == []


def test_the_synchronisation_check_can_fail(make_gan: MakeGan, images: Tensor) -> None:
    with SynchronisationWatch() as watch:
        make_gan().train_step(images[:4])[0].item()
    assert watch.waits


class Repeater:
    """A capturer without a device: the "replay" does the work again."""

    def __init__(self) -> None:
        self.warmed_up, self.captured = 0, 0

    def warm_up(self, work: DeviceWork) -> None:
        self.warmed_up += 1
        work()

    def capture(self, work: DeviceWork) -> DeviceWork:
        self.captured += 1
        return work


@each_option
def test_graphed_steps_equal_eager_steps(
    make_gan: MakeGan, images: Tensor, options: dict[str, Any]
) -> None:
    gan, capturer = make_gan(**options), Repeater()
    graphed = steps(GraphedSteps(gan, capturer, None), images)
    eager = make_gan(**options)
    assert graphed == steps(eager.train_step, images)
    assert_same_bits(gan.state_dict(), eager.state_dict())
    kinds = 2 if "r1_gamma" in options else 1
    assert (capturer.warmed_up, capturer.captured) == (kinds * WARM_UP_STEPS, kinds)


class BrokenCapturer(Repeater):
    """Fails to capture the second graph, that of the steps with penalties."""

    def capture(self, work: DeviceWork) -> DeviceWork:
        if self.captured:
            raise RuntimeError("operation not permitted\nsome stack")
        return super().capture(work)


def test_after_a_failed_capture_steps_are_eager_and_the_reason_is_printed(
    make_gan: MakeGan, images: Tensor
) -> None:
    notices: list[str] = []
    gan = make_gan(**OPTIONS["penalties"])
    step = GraphedSteps(gan, BrokenCapturer(), notices.append)
    found = steps(step, images)
    eager = make_gan(**OPTIONS["penalties"])
    assert found == steps(eager.train_step, images)
    assert_same_bits(gan.state_dict(), eager.state_dict())
    reason = "CUDA graph capture failed: operation not permitted"
    assert notices == [f"training runs eagerly, one operation at a time: {reason}"]


def test_with_execution_graph_a_failed_capture_is_an_error(
    make_gan: MakeGan, images: Tensor
) -> None:
    step = GraphedSteps(make_gan(**OPTIONS["penalties"]), BrokenCapturer(), None)
    with pytest.raises(TrainingError, match="not permitted; use --execution eager"):  # noqa: PT012
        for _ in range(14):
            step(images[:4])


class FakeCuda:
    """Replaces the functions of torch.cuda: notes the calls; the capture works or fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
        self.notes: list[str] = []
        self.works = works
        fakes = {
            "Stream": lambda: self._stream("side"),
            "current_stream": lambda: self._stream("main"),
            "stream": self._on,
            "graph": self._graph,
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: self.note("replay")),
            "current_device": lambda: 0,
            "default_generators": [self],
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)

    def note(self, what: str) -> None:
        self.notes.append(what)

    def clone_state(self) -> str:
        return "as before"

    def graphsafe_set_state(self, state: str) -> None:
        self.note(f"random state {state}")

    def _stream(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(
            name=name, wait_stream=lambda other: self.note(f"{name} waits for {other.name}")
        )

    @contextmanager
    def _on(self, stream: SimpleNamespace) -> Iterator[None]:
        self.note(f"on {stream.name}")
        try:
            yield
        finally:
            self.note(f"off {stream.name}")

    @contextmanager
    def _graph(self, _: object, stream: SimpleNamespace) -> Iterator[None]:
        yield
        if not self.works:
            raise RuntimeError("the capture is invalid")
        self.note(f"captured on {stream.name}")


def test_warm_up_and_capture_use_a_separate_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda(monkeypatch, works=True)
    graphs = CudaGraphs()
    graphs.warm_up(lambda: cuda.note("work"))
    warm_up = ["side waits for main", "on side", "work", "off side", "main waits for side"]
    assert cuda.notes == warm_up
    replay = graphs.capture(lambda: cuda.note("work"))
    replay()
    assert cuda.notes[5:] == ["on side", "work", "captured on side", "off side", "replay"]


def test_a_failed_capture_restores_the_stream_and_the_random_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda(monkeypatch, works=False)
    with pytest.raises(RuntimeError, match="the capture is invalid"):
        CudaGraphs().capture(lambda: cuda.note("work"))
    assert cuda.notes == ["on side", "work", "off side", "random state as before"]


def test_a_single_gpu_uses_cuda_graphs(make_gan: MakeGan, monkeypatch: pytest.MonkeyPatch) -> None:
    gan = make_gan()
    gan.device = torch.device("cuda")
    FakeCuda(monkeypatch, works=True)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)  # it would be on the GPU
    assert isinstance(select_step(gan, "auto"), GraphedSteps)


# Choosing how steps run.


def test_on_a_cpu_auto_is_eager_without_a_notice(make_gan: MakeGan) -> None:
    gan, notices = make_gan(), list[str]()
    assert select_step(gan, "auto", notices.append) == gan.train_step
    assert select_step(gan, "eager", notices.append) == gan.train_step
    assert notices == []


def test_a_graph_on_a_cpu_is_an_error(make_gan: MakeGan, images: Tensor) -> None:
    text = "--execution graph: a CUDA graph needs a CUDA device; use --execution auto"
    with pytest.raises(TrainingError, match=text):
        next(train(make_gan(execution="graph"), TrainingData(images), 1))


@pytest.mark.parametrize(
    ("device", "triton", "missing"),
    [
        ("cuda", None, "Triton"),
        ("cuda", "there", "a compiler, gcc or clang"),
        ("cpu", None, r"a compiler, g\+\+ or clang\+\+"),
    ],
)
def test_compiling_without_its_requirements_is_an_error(
    make_gan: MakeGan,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    triton: str | None,
    missing: str,
) -> None:
    monkeypatch.setattr(execution, "find_spec", lambda _: triton)
    monkeypatch.setenv("PATH", "")
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    gan = make_gan()
    gan.device = torch.device(device)
    with pytest.raises(TrainingError, match=f"--execution compile: needs {missing}; use"):
        select_step(gan, "compile")


def test_execution_compile_compiles_the_networks(
    make_gan: MakeGan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "some compiler")
    gan, called = make_gan(), list[str]()
    monkeypatch.setattr(gan, "compile", lambda: called.append("compile"))
    assert select_step(gan, "compile") == gan.train_step
    assert called == ["compile"]


def test_an_impossible_execution_creates_no_run(
    fit: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", "--execution", "graph") == 1
    assert "error: --execution graph: a CUDA graph needs a CUDA device" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_group_on_gpus_is_eager_with_a_notice(make_gan: MakeGan) -> None:
    gan, notices = make_gan(), list[str]()
    gan.device, gan.group = torch.device("cuda"), ProcessGroup(0, 2)
    assert select_step(gan, "auto", notices.append) == gan.train_step
    (line,) = notices
    assert line.startswith("training runs eagerly, one operation at a time: processes of a group")
