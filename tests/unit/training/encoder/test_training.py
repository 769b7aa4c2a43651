"""What one training step and the direct optimisation of latents do, with generators to compute."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from app.artifact.card import Attributes, ImageAttribute, ImageClass, Latent, sampler_of
from app.latent.conditions import Sampler
from app.latent.sampling import Prior
from tests.synchronisation import SynchronisationWatch
from training.encoder import graph, loop, measures, trainer
from training.encoder.encode import Session
from training.encoder.graphed import GraphedSteps
from training.encoder.images import Images
from training.encoder.network import EncoderNetwork
from training.encoder.objective import Reconstruction
from training.encoder.options import EncoderOptions
from training.encoder.refine import refine
from training.encoder.subject import Subject
from training.encoder.trainer import Trainer
from training.errors import DivergedError
from training.evaluation.loaded_model import LoadedModel
from training.gan.pixels import to_pixels
from training.loop.execution import WARM_UP_STEPS, DeviceWork

CPU = torch.device("cpu")
SIDE, WIDTH = 8, 3
CLASSES = sampler_of([ImageClass(name=name, share=0.5) for name in ("a", "b")], None)
ATTRIBUTES = sampler_of(
    None,
    Attributes(
        attributes=[ImageAttribute(name=name, share=0.5, excludes=[]) for name in ("c", "d")],
        patterns=["0", "1", "2", "3"],
    ),
)


class Stripes(nn.Module):
    """Each number of a row is the grey of a stripe of the image, from -2 to 2."""

    def forward(self, rows: Tensor) -> Tensor:
        columns = torch.nn.functional.interpolate(rows[:, None], SIDE)
        return (columns / 2).clamp(-1, 1)[:, :, None].expand(-1, 1, SIDE, -1)


def make_subject(sampler: Sampler | None = None, prior: Prior = "normal") -> Subject:
    generator = Stripes()
    model = LoadedModel(
        title="stripes",
        dataset="none",
        image_shape=(1, SIDE, SIDE),
        latent=Latent(width=WIDTH, prior=prior),
        draw=lambda rows: to_pixels(generator, torch.from_numpy(rows)),
        sampler=sampler,
    )
    return Subject(model, generator, None, None, CPU)


def real_images(subject: Subject, count: int = 64) -> Images:
    rows = subject.model.rows(range(1000, 1000 + count))
    pixels = subject.model.images(count, 1000)
    return Images(pixels, rows[:, WIDTH:] if subject.conditions else None)


@pytest.mark.parametrize(("sampler", "real"), [(None, True), (CLASSES, False), (ATTRIBUTES, True)])
def test_every_loss_falls(sampler: Sampler | None, real: bool) -> None:
    subject = make_subject(sampler)
    images = real_images(subject) if real else None
    reports = list(loop.train(Trainer(subject, 16, 0), images, EncoderOptions(steps=80)))
    first, last = (
        np.array([one.latents, one.reconstruction, one.conditions])
        for one in (reports[0], reports[-1])
    )
    assert (last[:2] < 0.7 * first[:2]).all()
    assert (last[2] < 0.95 * first[2]) if sampler else (first[2] == last[2] == 0)


def test_the_losses_are_reported_every_so_many_steps_and_at_the_end() -> None:
    made = Trainer(make_subject(), 2, 0)
    reports = list(loop.train(made, None, EncoderOptions(steps=50)))
    assert [(report.step, report.done) for report in reports] == [(20, 0.4), (40, 0.8), (50, 1)]
    assert list(loop.train(made, None, EncoderOptions(steps=50))) == []


def test_losses_that_are_not_finite_end_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Trainer(make_subject(), 2, 0)
    broken = torch.tensor([0, float("nan"), 0])
    monkeypatch.setattr(made, "update", lambda *_: broken)
    with pytest.raises(DivergedError, match="step 20: the losses are"):
        list(loop.train(made, None, EncoderOptions(steps=50)))


@pytest.mark.parametrize("sampler", [None, CLASSES, ATTRIBUTES])
def test_an_update_does_not_wait_for_the_device(sampler: Sampler | None) -> None:
    subject = make_subject(sampler)
    images = real_images(subject, 4)
    conditions = None if images.conditions is None else torch.from_numpy(images.conditions)
    made = Trainer(subject, 4, 0)
    with SynchronisationWatch() as watch:
        made.update(torch.from_numpy(images.pixels), conditions)
    assert watch.waits == []


class Recorded:
    """Captures work as CudaGraphs does, on a CPU: a capture does not do the work."""

    def __init__(self, fails: bool) -> None:
        self.fails, self.calls = fails, list[str]()

    def warm_up(self, work: DeviceWork) -> None:
        self.calls.append("warm up")
        work()

    def capture(self, work: DeviceWork) -> DeviceWork:
        self.calls.append("capture")
        if self.fails:
            raise RuntimeError("no graph\nand more")
        return work


@pytest.mark.parametrize("fails", [False, True])
def test_graphed_steps_have_the_bits_of_single_ones(fails: bool) -> None:
    subject, reasons = make_subject(CLASSES), list[str]()
    images = real_images(subject, 8)
    assert images.conditions is not None
    pixels, conditions = torch.from_numpy(images.pixels), torch.from_numpy(images.conditions)
    capturer, plain, graphed = Recorded(fails), Trainer(subject, 4, 0), Trainer(subject, 4, 0)
    torch.manual_seed(1)
    expected = [plain.train_step(pixels[k : k + 4], conditions[k : k + 4]) for k in range(5)]
    torch.manual_seed(1)
    step = GraphedSteps(graphed, capturer, reasons.append)
    for k, losses in enumerate(expected):
        found = step(pixels[k : k + 4], conditions[k : k + 4])
        torch.testing.assert_close(found, losses, rtol=0, atol=0)
    torch.testing.assert_close(
        graphed.network.state_dict(), plain.network.state_dict(), rtol=0, atol=0
    )
    assert graphed.step == plain.step == 5
    assert capturer.calls == ["warm up"] * WARM_UP_STEPS + ["capture"]
    reason = "CUDA graph capture failed: no graph"
    notice = f"training runs eagerly, one operation at a time: {reason}"
    assert reasons == ([notice] if fails else [])


@pytest.mark.parametrize("prior", ["normal", "uniform"])
@pytest.mark.parametrize(
    "sampler", [None, CLASSES, ATTRIBUTES], ids=["plain", "class", "attributes"]
)
def test_the_graph_finds_what_the_network_finds(sampler: Sampler | None, prior: Prior) -> None:
    subject = make_subject(sampler, prior)
    encoder = EncoderNetwork((1, SIDE, SIDE), WIDTH, prior, subject.conditions)
    for name, values in encoder.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            values.copy_(torch.rand_like(values) + 0.5)
    encoder.eval()
    images = np.random.default_rng(0).integers(0, 256, (9, 1, SIDE, SIDE), dtype=np.uint8)
    content = graph.build(encoder, subject, {})
    graph.check(encoder, subject, content, images)
    rows = Session(content).rows(images)
    assert rows.shape == (9, WIDTH + subject.conditions)
    if prior == "uniform":
        assert np.abs(rows[:, :WIDTH]).max() <= 1
    if sampler:
        assert rows[:, WIDTH:].min() >= 0
        sums = rows[:, WIDTH:].sum(axis=1)
        assert np.allclose(sums, 1) is (sampler is CLASSES)


@pytest.mark.parametrize(
    ("shape", "latent_dim", "conditions"), [((1, 28, 28), 64, 10), ((3, 64, 64), 64, 16)]
)
def test_encoders_of_the_usual_sizes_have_less_than_three_megabytes(
    shape: tuple[int, int, int],
    latent_dim: int,
    conditions: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()  # as wide as usual
    encoder = EncoderNetwork(shape, latent_dim, "normal", conditions)
    assert 2e6 < 4 * sum(weights.numel() for weights in encoder.parameters()) < 3e6


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 16, 20), (3, 128, 128), (1, 70, 33)])
def test_there_is_an_encoder_for_every_image_size(shape: tuple[int, int, int]) -> None:
    latents, logits = EncoderNetwork(shape, 7, "normal", 2).eval()(torch.zeros(2, *shape))
    assert latents.shape == (2, 7)
    assert logits.shape == (2, 2)


def test_real_images_may_be_read_only() -> None:
    subject = make_subject(CLASSES)
    images = real_images(subject, 5)
    images.pixels.setflags(write=False)
    encoder = EncoderNetwork((1, SIDE, SIDE), WIDTH, "normal", 2).eval()
    metrics = measures.measure(subject, Session(graph.build(encoder, subject, {})), images)
    floors = {name: metric.floor for name, metric in metrics.items()}
    assert [name for name, floor in floors.items() if floor is None] == [
        "encoder_latents",
        "encoder_generated_class_agreement",
        "encoder_class_agreement",
    ]
    assert [name for name, floor in floors.items() if floor] == ["encoder_pixels", "encoder_ssim"]


def test_direct_optimisation_finds_the_latents() -> None:
    subject = make_subject(CLASSES)
    true = subject.model.rows(range(5))
    true[:, :WIDTH] = true[:, :WIDTH].clip(-1, 1)
    images = subject.model.draw(true).transpose(0, 3, 1, 2)
    start = np.hstack([np.zeros((5, WIDTH), np.float32), true[:, WIDTH:]])
    found = refine(subject, images, start, 100)
    np.testing.assert_allclose(found, true, atol=0.05)
    few = refine(subject, images, start, 1)
    assert 0 < np.abs(few - start).max() <= 0.051


def test_direct_optimisation_keeps_latents_within_the_prior() -> None:
    subject = make_subject(prior="uniform")
    white = np.full((1, 1, SIDE, SIDE), 255, np.uint8)
    found = refine(subject, white, np.zeros((1, WIDTH), np.float32), 60)
    assert np.abs(found).max() <= 1


def test_latents_that_are_longer_than_those_of_the_prior_cost_something() -> None:
    objective = Reconstruction(make_subject(), torch.zeros(2, 1, SIDE, SIDE))
    latents = torch.tensor([[1.0, 1.0, 1.0], [2.0, 1.0, 1.0]])
    first, second = objective.loss(latents, None).tolist()
    assert first == pytest.approx(10 * 0.25)
    squares = [1.0 if column < 3 else 0.25 for column in range(SIDE)]
    assert second == pytest.approx(10 * np.mean(squares) + 1)


def test_a_random_half_of_the_real_images_is_moved_a_little() -> None:
    torch.manual_seed(0)
    images = torch.zeros(200, 1, 28, 28)
    images[:, :, 9:19, 9:19] = 1
    moved = trainer.randomly_moved(images)
    same = (moved - images).abs().flatten(1).amax(dim=1) < 1e-3
    assert 60 < same.sum() < 140
    assert 0.75 < (moved.sum() / images.sum()).item() < 1.3
    assert (moved[:, :, 14, 14] > 0.9).all()
    # The border is repeated: a white image stays white.
    torch.testing.assert_close(trainer.randomly_moved(1 - 0 * images), torch.ones_like(images))


def test_images_that_are_not_square_are_turned_without_distortion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    for name, value in (("_ROTATION", math.radians(45)), ("_SCALE", 0), ("_SHIFT", 0)):
        monkeypatch.setattr(trainer, name, value)
    # A spot 12 pixels beside the centre, of an image 60 wide and 40 high.
    y, x = torch.arange(40)[:, None] - 19.5, torch.arange(60) - 29.5
    spot = torch.exp(-((x - 12) ** 2 + y**2) / 8)
    moved = trainer.randomly_moved(spot.repeat(50, 1, 1, 1))[:, 0]
    mass = moved.sum(dim=(1, 2))
    across, down = ((moved * axis).sum(dim=(1, 2)) / mass for axis in (x, y))
    assert down.abs().max() > 6
    torch.testing.assert_close(torch.hypot(across, down), torch.full((50,), 12.0), atol=0.1, rtol=0)
