"""How steps run. What a GPU is needed for is in tests/gpu."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu
from torch.utils._python_dispatch import TorchDispatchMode

from training.errors import TrainingError
from training.gan.gan import Gan
from training.gan.process_group import ProcessGroup
from training.loop import execution
from training.loop.epochs import epoch_order, train
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
    "hinge and spectral norm": {"loss": "hinge", "spectral_norm": True, "prior": "uniform"},
    "dropout and mirrors": {"dropout": 0.3, "batch_norm": False, "mirror": True},
}
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())


@pytest.fixture
def images() -> Tensor:
    """Seven batches of four and two images over."""
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (30, 1, 16, 16), dtype=torch.uint8, generator=random)


def assert_same_bits(first: dict[str, Any], second: dict[str, Any]) -> None:
    torch.testing.assert_close(first, second, rtol=0, atol=0)


# The same results as of a plain loop.


class Plain:
    """A loop as it is usually written, over copies of a trainer's networks."""

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
        fake = self.generator(torch.randn(len(real), self.config.latent_dim)).detach()
        d_loss = self.loss(self.discriminator(real), 1) + self.loss(self.discriminator(fake), 0)
        total = d_loss
        if self.config.r1_gamma and number % self.config.penalty_interval == 0:
            total = d_loss + self.config.penalty_interval * self.penalty(real)
        self.descend(self.discriminator, total)
        fake = self.generator(torch.randn(len(real), self.config.latent_dim))
        logits = self.discriminator(fake)
        g_loss = -logits.mean() if self.config.loss == "hinge" else self.loss(logits, 1)
        self.descend(self.generator, g_loss)
        return d_loss.item(), g_loss.item()

    def loss(self, logits: Tensor, target: int) -> Tensor:
        if self.config.loss == "hinge":
            return relu(1 - logits if target else 1 + logits).mean()
        return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    def penalty(self, real: Tensor) -> Tensor:
        real = real.clone().requires_grad_()
        (slopes,) = torch.autograd.grad(self.discriminator(real).sum(), real, create_graph=True)
        return self.config.r1_gamma / 2 * (slopes**2).sum() / len(real)

    def descend(self, network: nn.Module, loss: Tensor) -> None:
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
def test_the_losses_are_those_of_a_plain_loop(
    make_gan: MakeGan, images: Tensor, options: dict[str, Any]
) -> None:
    slow = {"generator_lr": 2e-4, "discriminator_lr": 2e-4}  # or rounding grows from step to step
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
    assert torch.tensor(found).std(dim=0).min() > 0.01  # the curves are no straight lines


def test_over_200_steps_the_curves_are_a_plain_loops(make_gan: MakeGan, images: Tensor) -> None:
    """Rounding grows from step to step, so that what is compared are means of fifty."""
    slow = {"generator_lr": 2e-4, "discriminator_lr": 2e-4}
    gan = make_gan(generator_filters=4, discriminator_filters=4, **slow)
    plain, state = Plain(gan), torch.get_rng_state()
    batches = [images[epoch_order(30, 0, epoch)[:4]] for epoch in range(200)]
    expected = torch.tensor([plain.step(real, number) for number, real in enumerate(batches)])
    torch.set_rng_state(state)
    step = select_step(gan, "auto")
    found = torch.stack([step(real)[:2].clone() for real in batches])
    curves = [losses.reshape(4, 50, 2).mean(dim=1) for losses in (found, expected)]
    torch.testing.assert_close(*curves, rtol=0.05, atol=0.01)
    assert (curves[0][0] - curves[0][3]).abs().min() > 0.02  # the curves are no straight lines


def steps(step: Step, images: Tensor) -> list[list[float]]:
    """What fourteen steps return."""
    return [step(images[2 * k : 2 * k + 4]).tolist() for k in range(14)]


# What a CUDA graph asks of a step.


class Waiting(TorchDispatchMode):
    """Notes every operation that makes the host wait for what the device has computed."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(
        self, func: Any, _: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket.__name__ in {"_local_scalar_dense", "nonzero", "unique", "equal"}:
            self.waits.append(str(func))
        return func(*args, **(kwargs or {}))


@each_option
def test_an_update_waits_for_nothing(
    make_gan: MakeGan, images: Tensor, options: dict[str, Any]
) -> None:
    gan = make_gan(**options)
    gan.train_step(images[:4])
    with Waiting() as watch:
        gan.update(images[4:8], with_penalty=bool(gan.config.r1_gamma))
    assert watch.waits == []


def test_that_check_can_fail(make_gan: MakeGan, images: Tensor) -> None:
    with Waiting() as watch:
        make_gan().train_step(images[:4])[0].item()
    assert watch.waits


class Again:
    """Records nothing: it does the work again, as often as it is asked to."""

    def __init__(self) -> None:
        self.warmed_up, self.captured = 0, 0

    def warm_up(self, work: DeviceWork) -> None:
        self.warmed_up += 1
        work()

    def capture(self, work: DeviceWork) -> DeviceWork:
        self.captured += 1
        return work


@each_option
def test_recorded_steps_are_those_that_are_not(
    make_gan: MakeGan, images: Tensor, options: dict[str, Any]
) -> None:
    gan, recorder = make_gan(**options), Again()
    recorded = steps(GraphedSteps(gan, recorder, None), images)
    eager = make_gan(**options)
    assert recorded == steps(eager.train_step, images)
    assert_same_bits(gan.state_dict(), eager.state_dict())
    kinds = 2 if "r1_gamma" in options else 1
    assert (recorder.warmed_up, recorder.captured) == (kinds * WARM_UP_STEPS, kinds)


class Broken(Again):
    """Cannot record steps with penalties."""

    def capture(self, work: DeviceWork) -> DeviceWork:
        if self.captured:
            raise RuntimeError("operation not permitted\nsome stack")
        return super().capture(work)


def test_what_cannot_be_recorded_goes_on_eagerly_and_says_why(
    make_gan: MakeGan, images: Tensor
) -> None:
    told: list[str] = []
    gan = make_gan(**OPTIONS["penalties"])
    step = GraphedSteps(gan, Broken(), told.append)
    found = steps(step, images)
    eager = make_gan(**OPTIONS["penalties"])
    assert found == steps(eager.train_step, images)
    assert_same_bits(gan.state_dict(), eager.state_dict())
    why = "CUDA graph capture failed: operation not permitted"
    assert told == [f"training runs eagerly, one operation at a time: {why}"]


def test_what_must_be_recorded_and_cannot_is_refused(make_gan: MakeGan, images: Tensor) -> None:
    step = GraphedSteps(make_gan(**OPTIONS["penalties"]), Broken(), None)
    with pytest.raises(TrainingError, match="not permitted; use --execution eager"):  # noqa: PT012
        for _ in range(14):
            step(images[:4])


class Card:
    """Stands for CUDA: notes what is asked of it, and records as it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
        self.notes: list[str] = []
        self.works = works
        stands = {
            "Stream": lambda: self._stream("side"),
            "current_stream": lambda: self._stream("main"),
            "stream": self._on,
            "graph": self._graph,
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: self.note("replay")),
            "current_device": lambda: 0,
            "default_generators": [self],
        }
        for name, stand in stands.items():
            monkeypatch.setattr(torch.cuda, name, stand)

    def note(self, what: str) -> None:
        self.notes.append(what)

    def clone_state(self) -> str:
        return "as it was"

    def graphsafe_set_state(self, state: str) -> None:
        self.note(f"random numbers {state}")

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
        self.note(f"recorded on {stream.name}")


def test_work_is_rehearsed_and_recorded_on_a_stream_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = Card(monkeypatch, works=True)
    graphs = CudaGraphs()
    graphs.warm_up(lambda: card.note("work"))
    rehearsal = ["side waits for main", "on side", "work", "off side", "main waits for side"]
    assert card.notes == rehearsal
    again = graphs.capture(lambda: card.note("work"))
    again()
    assert card.notes[5:] == ["on side", "work", "recorded on side", "off side", "replay"]


def test_a_recording_that_breaks_off_gives_stream_and_random_numbers_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = Card(monkeypatch, works=False)
    with pytest.raises(RuntimeError, match="the capture is invalid"):
        CudaGraphs().capture(lambda: card.note("work"))
    assert card.notes == ["on side", "work", "off side", "random numbers as it was"]


def test_one_gpu_records(make_gan: MakeGan, monkeypatch: pytest.MonkeyPatch) -> None:
    gan = make_gan()
    gan.device = torch.device("cuda")
    Card(monkeypatch, works=True)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)  # which would be on the GPU
    assert isinstance(select_step(gan, "auto"), GraphedSteps)


# The choice.


def test_on_a_cpu_auto_is_eager_without_a_word(make_gan: MakeGan) -> None:
    gan, told = make_gan(), list[str]()
    assert select_step(gan, "auto", told.append) == gan.train_step
    assert select_step(gan, "eager", told.append) == gan.train_step
    assert told == []


def test_a_graph_on_a_cpu_is_refused(make_gan: MakeGan, images: Tensor) -> None:
    words = "--execution graph: a CUDA graph needs a CUDA device; use --execution auto"
    with pytest.raises(TrainingError, match=words):
        next(train(make_gan(execution="graph"), images, 1))


@pytest.mark.parametrize(
    ("device", "triton", "missing"),
    [
        ("cuda", None, "Triton"),
        ("cuda", "there", "a compiler, gcc or clang"),
        ("cpu", None, r"a compiler, g\+\+ or clang\+\+"),
    ],
)
def test_compiling_without_what_it_needs_is_refused(
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


def test_what_compiles_is_compiled(make_gan: MakeGan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "some compiler")
    gan, called = make_gan(), list[str]()
    monkeypatch.setattr(gan, "compile", lambda: called.append("compile"))
    assert select_step(gan, "compile") == gan.train_step
    assert called == ["compile"]


def test_what_is_refused_begins_no_run(
    fit: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", "--execution", "graph") == 1
    assert "error: --execution graph: a CUDA graph needs a CUDA device" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_group_on_gpus_is_eager_and_says_why(make_gan: MakeGan) -> None:
    gan, told = make_gan(), list[str]()
    gan.device, gan.group = torch.device("cuda"), ProcessGroup(0, 2)
    assert select_step(gan, "auto", told.append) == gan.train_step
    (line,) = told
    assert line.startswith("training runs eagerly, one operation at a time: processes of a group")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")
def test_compiled_networks_learn_the_same(make_gan: MakeGan, images: Tensor) -> None:
    options = {"r1_gamma": 1, "penalty_interval": 2, "batch_norm": False}
    gan = make_gan(**options)
    gan.compile(backend="aot_eager")  # all of torch.compile but the minutes of a C++ compiler
    found = steps(gan.train_step, images)
    eager = make_gan(**options)
    torch.testing.assert_close(found, steps(eager.train_step, images))
    torch.testing.assert_close(gan.state_dict(), eager.state_dict(), rtol=1e-3, atol=1e-4)
