"""Training on a GPU: checks of tests/unit/training on a GPU, and checks that need one."""

import itertools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from training.gan.gan import Gan
from training.loop import checkpoint, device
from training.loop.epochs import TrainingData, epoch_order, train
from training.loop.execution import Step, select_step

pytestmark = pytest.mark.gpu

MakeGan = Callable[..., Gan]

OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "penalties": {"r1_gamma": 0.1, "r2_gamma": 0.1, "penalty_interval": 4, "batch_norm": False},
    "augmented": {"augment": "color,translation,cutout", "mirror": True},
    "adaptive": {"augment": "ada", "loss": "relativistic"},
    "hinge and spectral norm": {"loss": "hinge", "spectral_norm": True, "prior": "uniform"},
    "dropout": {"preset": "keras-28"},
    "bf16": {"precision": "bf16"},
}
exact = pytest.mark.usefixtures("_exact")
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())


def losses(gan: Gan, images: Tensor, steps: int, total: int | None = None) -> np.ndarray:
    """Both losses of each of ``steps`` steps, ``(steps, 2)``."""
    reports = train(gan, TrainingData(images), total or gan.step + steps, report_every=1)
    found, size = [], gan.config.batch_size
    for report in itertools.islice(reports, steps):
        # Reports have means since the start of the epoch; the losses of a step are differences.
        number = (report.step - 1) % (len(images) // size) + 1
        found.append((number, report.discriminator_loss, report.generator_loss))
    sums = np.array([(count * d, count * g) for count, d, g in found])
    first = np.array([count == 1 for count, _, _ in found])
    before = np.where(first[:, None], 0, np.vstack([np.zeros(2), sums[:-1]]))
    return sums - before


def batches(gan: Gan, images: Tensor) -> Iterator[Tensor]:
    size = gan.config.batch_size
    for epoch in itertools.count():
        shuffled = epoch_order(len(images), 0, epoch, images.device)
        for k in range(len(images) // size):
            yield images[shuffled[k * size : (k + 1) * size]]


@contextmanager
def waiting_is_an_error() -> Iterator[None]:
    """Make an operation fail for which the CPU waits for the GPU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def run(step: Step, source: Iterator[Tensor], count: int) -> None:
    for real in itertools.islice(source, count):
        step(real)


@each_option
@exact
def test_graphs_and_eager_steps_have_equal_losses(
    make_gan: MakeGan, images: Tensor, options: dict[str, Any]
) -> None:
    graph = losses(make_gan(execution="graph", **options), images, 200)
    eager = losses(make_gan(execution="eager", **options), images, 200)
    assert np.isfinite(graph).all()
    np.testing.assert_allclose(graph[:8], eager[:8], rtol=0.02, atol=0.01)
    # Rounding errors grow from step to step, and faster if accuracies decide on the augmentation.
    compared = 2 if options.get("augment") == "ada" else 4
    means = [curve.reshape(4, 50, 2).mean(axis=1)[:compared] for curve in (graph, eager)]
    np.testing.assert_allclose(*means, rtol=0.15, atol=0.05)


@pytest.mark.parametrize("execution", ["graph", "eager"])
@each_option
def test_no_step_waits_for_the_gpu(
    make_gan: MakeGan, images: Tensor, execution: str, options: dict[str, Any]
) -> None:
    gan = make_gan(execution=execution, **options)
    step, source = select_step(gan, gan.config.execution), batches(gan, images)
    run(step, source, 20)  # warms up, and captures both kinds of steps
    with waiting_is_an_error():
        for number in range(10):
            gan.set_rate_factor(1 - number / 20)
            run(step, source, 1)
        assert torch.cuda.get_sync_debug_mode() == 2  # "error" until the end: no step has waited


def test_a_step_that_waits_would_be_found(gpu: torch.device) -> None:
    with waiting_is_an_error(), pytest.raises(RuntimeError, match="synchronizing"):
        torch.ones(1, device=gpu).item()


@pytest.mark.parametrize("execution", ["graph", "eager"])
def test_memory_does_not_grow(make_gan: MakeGan, images: Tensor, execution: str) -> None:
    gan = make_gan(execution=execution, **OPTIONS["penalties"])
    step, source = select_step(gan, gan.config.execution), batches(gan, images)
    run(step, source, 60)
    torch.cuda.synchronize()
    before = torch.cuda.memory_reserved()
    run(step, source, 300)
    torch.cuda.synchronize()
    assert torch.cuda.memory_reserved() == before


@exact
def test_the_learning_rate_falls_inside_a_captured_step(make_gan: MakeGan, images: Tensor) -> None:
    curves = {}
    for execution in ("graph", "eager"):
        gan = make_gan(execution=execution, decay_from=0.0)
        curves[execution] = losses(gan, images, 40, total=41)
        rate = gan.generator_adam.param_groups[0]["lr"]
        assert rate.item() == pytest.approx(gan.config.generator_lr * 2 / 41)
        weights_before = [weights.detach().clone() for weights in gan.generator.parameters()]
        gan.set_rate_factor(0.0)
        run(select_step(gan, gan.config.execution), batches(gan, images), 6)
        after = list(gan.generator.parameters())
        assert all(map(torch.equal, weights_before, after))
    np.testing.assert_allclose(curves["graph"][:8], curves["eager"][:8], rtol=0.02, atol=0.01)


@exact
def test_a_resumed_run_continues_exactly(make_gan: MakeGan, images: Tensor, tmp_path: Any) -> None:
    whole = losses(make_gan(), images, 20)
    first = make_gan()
    losses(first, images, 12)
    checkpoint.save(first.state_dict(), tmp_path / "last.pt")
    second = make_gan()
    second.load_state_dict(checkpoint.load(tmp_path / "last.pt"))
    continued = torch.stack([v.clone() for v in values(second, images, 8)])
    np.testing.assert_allclose(continued[:, :2].cpu(), whole[12:], rtol=0.05, atol=0.02)


def values(gan: Gan, images: Tensor, count: int) -> Iterator[Tensor]:
    step = select_step(gan, gan.config.execution)
    for real in itertools.islice(batches(gan, images), gan.step, gan.step + count):
        yield step(real)


def test_a_step_that_cannot_be_captured_runs_eagerly(
    make_gan: MakeGan, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan, messages = make_gan(), list[str]()
    update = gan.update

    def waits(*batch: Any) -> Tensor:
        found = update(*batch)
        found[0].item()  # waits, which a CUDA graph cannot capture
        return found

    monkeypatch.setattr(gan, "update", waits)
    step = select_step(gan, "auto", messages.append)
    run(step, batches(gan, images), 10)
    (line,) = messages
    assert line.startswith("training runs eagerly, one operation at a time: CUDA graph capture")
    assert gan.step == 10
    assert gan.is_finite()


@exact
def test_compiled_networks_have_equal_losses(make_gan: MakeGan, images: Tensor) -> None:
    pytest.importorskip("triton", reason="torch.compile needs Triton")
    compiled = losses(make_gan(execution="compile", precision="fp32"), images, 30)
    eager = losses(make_gan(execution="eager", precision="fp32"), images, 30)
    np.testing.assert_allclose(compiled[:4], eager[:4], rtol=0.05, atol=0.02)
    np.testing.assert_allclose(compiled.mean(axis=0), eager.mean(axis=0), rtol=0.2, atol=0.1)


def test_batches_come_from_images_on_the_gpu(make_gan: MakeGan, gpu: torch.device) -> None:
    resident = device.place_images(np.zeros((64, 1, 28, 28), np.uint8), gpu)
    assert resident.is_cuda
    reports = list(train(make_gan(), TrainingData(resident), 2))
    assert reports[-1].step == 2


@exact
def test_images_in_host_memory_give_equal_losses(make_gan: MakeGan, images: Tensor) -> None:
    on_gpu = losses(make_gan(), images, 12)
    on_host = losses(make_gan(), images.cpu(), 12)
    np.testing.assert_allclose(on_host, on_gpu, rtol=0.05, atol=0.02)


def test_a_checkpoint_of_a_gpu_continues_on_a_cpu(
    make_gan: MakeGan, images: Tensor, tmp_path: Any
) -> None:
    gan = make_gan()
    losses(gan, images, 5)
    checkpoint.save(gan.state_dict(), tmp_path / "last.pt")
    moved = Gan(gan.config, (1, 28, 28), torch.device("cpu"))
    moved.load_state_dict(checkpoint.load(tmp_path / "last.pt"))
    assert moved.step == 5
    assert moved.generator_adam.param_groups[0]["lr"] == pytest.approx(2e-3)
    moved.train_step(images[:32].cpu())
    assert moved.is_finite()
