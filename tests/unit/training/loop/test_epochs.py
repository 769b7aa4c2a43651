import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from training.errors import DataError, DivergedError
from training.gan.gan import Gan
from training.loop import checkpoint
from training.loop.epochs import TrainingData, epoch_order, train

MakeGan = Callable[..., Gan]


@pytest.fixture
def images() -> Tensor:
    """Seven batches of four images."""
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (28, 1, 16, 16), dtype=torch.uint8, generator=random)


def run_to(gan: Gan, images: Tensor, steps: int) -> Gan:
    for _ in train(gan, TrainingData(images), steps):
        pass
    return gan


def assert_same_bits(first: dict[str, Any], second: dict[str, Any]) -> None:
    torch.testing.assert_close(first, second, rtol=0, atol=0)


# Resuming.


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "hinge", "spectral_norm": True},
        {"prior": "uniform"},
        {},
        {"precision": "bf16"},
        {"r1_gamma": 1, "r2_gamma": 1, "penalty_interval": 3},
        {"loss": "relativistic", "augment": "color,translation,cutout"},
        {"loss": "relativistic", "augment": "ada", "precision": "bf16"},
        {"loss": "relativistic", "r1_gamma": 1, "spectral_norm": False, "batch_norm": False},
    ],
    ids=[
        "hinge and spectral norm",
        "uniform",
        "batch norm",
        "bf16",
        "penalties",
        "augmented pairs",
        "adaptive pairs, bf16",
        "no norm",
    ],
)
def test_a_run_in_two_parts_ends_with_the_bits_of_a_run_in_one(
    tmp_path: Path, images: Tensor, make_gan: MakeGan, options: dict[str, Any]
) -> None:
    whole = run_to(make_gan(**options), images, 12).state_dict()
    first = run_to(make_gan(**options), images, 8)  # inside the second epoch
    checkpoint.save(first.state_dict(), tmp_path / "last.pt")
    second = make_gan(**options)
    second.load_state_dict(checkpoint.load(tmp_path / "last.pt"))
    assert second.step == 8
    assert_same_bits(run_to(second, images, 12).state_dict(), whole)


def test_the_seed_decides_the_first_weights_and_all_that_follows(
    images: Tensor, make_gan: MakeGan
) -> None:
    assert_same_bits(
        run_to(make_gan(seed=1), images, 3).state_dict(),
        run_to(make_gan(seed=1), images, 3).state_dict(),
    )
    first, other = make_gan(seed=1), make_gan(seed=2)
    for network in ("generator", "discriminator"):
        one, two = (
            torch.cat([weights.flatten() for weights in getattr(t, network).parameters()])
            for t in (first, other)
        )
        assert not one.equal(two)


def test_making_the_averaged_generator_does_not_change_the_run(
    images: Tensor, make_gan: MakeGan
) -> None:
    expected = run_to(make_gan(), images, 10).state_dict()
    sampled = make_gan()
    for _ in train(sampled, TrainingData(images), 10, report_every=5):
        sampled.averaged_generator()
    assert_same_bits(sampled.state_dict(), expected)


def test_the_averaged_generator_is_the_same_each_time(images: Tensor, make_gan: MakeGan) -> None:
    gan = run_to(make_gan(), images, 3)
    first = gan.averaged_generator().state_dict()
    torch.rand(1)
    assert_same_bits(gan.averaged_generator().state_dict(), first)


def test_the_gpus_random_state_is_saved_and_restored(
    make_gan: MakeGan, monkeypatch: pytest.MonkeyPatch
) -> None:
    restored: list[Tensor] = []
    stream = torch.tensor([1, 2, 3], dtype=torch.uint8)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda _: stream)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, _: restored.append(state))
    gan = make_gan()
    on_cpu = copy.deepcopy(gan.state_dict())
    gan.device = torch.device("cuda")
    on_gpu = gan.state_dict()
    gan.load_state_dict(on_cpu)  # a checkpoint of a CPU has no such state
    assert restored == []
    gan.load_state_dict(on_gpu)
    assert [state.tolist() for state in restored] == [[1, 2, 3]]
    gan.device = torch.device("cpu")
    gan.load_state_dict(on_gpu)
    assert len(restored) == 1


# The order of the images.


def test_the_order_is_a_repeatable_permutation() -> None:
    assert sorted(epoch_order(100, 3, 5).tolist()) == list(range(100))
    assert epoch_order(100, 3, 5).equal(epoch_order(100, 3, 5))


def test_every_epoch_and_every_seed_has_its_own_order() -> None:
    orders = {
        tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(4) for epoch in range(4)
    }
    assert len(orders) == 16


# Reports.


@pytest.fixture
def scripted(make_gan: MakeGan, monkeypatch: pytest.MonkeyPatch) -> Gan:
    """Networks whose step number k reports losses k and -k and accuracies k/100 and k/1000."""
    gan = make_gan()

    def step(_: Tensor) -> Tensor:
        gan.step += 1
        k = gan.step
        return torch.tensor([k, -k, k / 100, k / 1000])

    monkeypatch.setattr(gan, "train_step", step)
    return gan


def test_quick_steps_are_reported_after_n_of_them_at_epochs_ends_and_at_the_end(
    scripted: Gan, images: Tensor
) -> None:
    reports = list(train(scripted, TrainingData(images), 16, report_every=3))
    assert [(r.step, r.epoch, r.epoch_done) for r in reports] == [
        (3, 1, False),
        (6, 1, False),
        (7, 1, True),
        (10, 2, False),
        (13, 2, False),
        (14, 2, True),
        (16, 3, False),
    ]


def test_a_report_has_the_means_since_its_epoch_began(scripted: Gan, images: Tensor) -> None:
    at = {
        report.step: report for report in train(scripted, TrainingData(images), 14, report_every=3)
    }
    for step, mean in ((3, 2), (7, 4), (10, 9), (14, 11)):
        report = at[step]
        assert report.discriminator_loss == pytest.approx(mean)
        assert report.generator_loss == pytest.approx(-mean)
        assert report.accuracy_real == pytest.approx(mean / 100)
        assert report.accuracy_fake == pytest.approx(mean / 1000)
        assert report.images_per_second > 0


def test_a_resumed_run_takes_its_means_from_there_on(scripted: Gan, images: Tensor) -> None:
    scripted.step = 10
    (report,) = train(scripted, TrainingData(images), 14)
    assert (report.epoch, report.epoch_done) == (2, True)
    assert report.discriminator_loss == pytest.approx((11 + 12 + 13 + 14) / 4)


def test_a_finished_run_reports_nothing(scripted: Gan, images: Tensor) -> None:
    scripted.step = 14
    assert list(train(scripted, TrainingData(images), 14)) == []


def test_epochs_follow_each_other_without_a_gap_in_batches_of_one_size(
    make_gan: MakeGan, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan = make_gan(seed=9)
    shown: list[Tensor] = []

    def step(batch: Tensor) -> Tensor:
        gan.step += 1
        shown.append(batch)
        return torch.zeros(4)

    monkeypatch.setattr(gan, "train_step", step)
    images = torch.cat([images, images[:2].flip(3)])
    run_to(gan, images, 10)  # which resumes inside the second epoch
    run_to(gan, images, 23)
    assert {len(batch) for batch in shown} == {4}
    order = torch.cat([epoch_order(30, 9, epoch) for epoch in range(4)])
    assert torch.cat(shown).equal(images[order[:92]])


# Errors.


def test_fewer_images_than_a_batch_are_an_error(images: Tensor, make_gan: MakeGan) -> None:
    with pytest.raises(DataError, match="3 images are fewer than one batch of 4"):
        run_to(make_gan(), images[:3], 1)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_losses_that_are_not_finite_end_the_run_at_their_step(
    images: Tensor, make_gan: MakeGan, network: str, value: float
) -> None:
    gan = make_gan(spectral_norm=False)
    reports = train(gan, TrainingData(images), 7, report_every=1)
    assert [next(reports).step for _ in range(3)] == [1, 2, 3]
    with torch.no_grad():
        next(getattr(gan, network).parameters()).fill_(value)
    with pytest.raises(DivergedError, match=r"step 4: .*nan"):
        next(reports)


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ((3.6e14, 1), r"3.6e\+14"),
        ((1, -3.6e14), r"-3.6e\+14"),
        ((math.nan, 1), "nan and 1"),
        ((1, math.nan), "1 and nan"),
    ],
)
def test_losses_that_are_huge_or_no_numbers_end_the_run_with_advice(
    images: Tensor,
    make_gan: MakeGan,
    monkeypatch: pytest.MonkeyPatch,
    losses: tuple[float, float],
    words: str,
) -> None:
    gan = make_gan()

    def step(_: Tensor) -> Tensor:
        gan.step += 1
        return torch.tensor([*losses, 1, 1])

    monkeypatch.setattr(gan, "train_step", step)
    with pytest.raises(DivergedError, match=rf"step 7: .*{words}.* with a lower --generator-lr"):
        run_to(gan, images, 7)


def test_weights_that_are_not_finite_after_an_epoch_end_the_run(
    images: Tensor, make_gan: MakeGan, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan = make_gan()
    train_step = gan.train_step

    def step(batch: Tensor) -> Tensor:
        values = train_step(batch)
        if gan.step == 7:
            with torch.no_grad():
                next(gan.generator.parameters())[0, 0] = math.nan
        return values

    monkeypatch.setattr(gan, "train_step", step)
    with pytest.raises(DivergedError, match="step 7: the weights are not finite"):
        run_to(gan, images, 7)


# Latents.


@pytest.mark.parametrize(
    ("prior", "deviation", "limit"), [("normal", 1, math.inf), ("uniform", math.sqrt(1 / 3), 1)]
)
def test_latents_come_from_the_prior(
    make_gan: MakeGan, prior: str, deviation: float, limit: float
) -> None:
    z = make_gan(prior=prior, latent_dim=50).sample_latents(400)
    assert z.shape == (400, 50)
    assert z.mean().item() == pytest.approx(0, abs=0.03)
    assert z.std().item() == pytest.approx(deviation, rel=0.03)
    assert z.abs().max() <= limit


# A step.


def test_a_step_changes_both_networks_and_the_average(images: Tensor, make_gan: MakeGan) -> None:
    # With the hinge loss the gradients of the last bias can cancel out.
    gan = run_to(make_gan(loss="bce", average_decay=0.5), images, 1)
    modules = nn.ModuleList([gan.generator, gan.discriminator, gan.average.module])
    before = [weights.detach().clone() for weights in modules.parameters()]
    assert gan.train_step(images[:4]).shape == (4,)
    assert gan.step == 2
    moved = [not a.equal(b) for a, b in zip(before, modules.parameters(), strict=True)]
    assert all(moved)


class Judge(nn.Module):
    """Classifies bright images as real and dark ones as generated, with logits from -0.6 to 0.4."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.5))

    def forward(self, images: Tensor) -> Tensor:
        return self.slope * images.mean((1, 2, 3))[:, None] - 0.1


def test_a_step_reports_the_discriminators_accuracy(make_gan: MakeGan) -> None:
    gan = make_gan(loss="hinge")
    gan.discriminator = Judge()  # type: ignore[assignment]
    black_and_white = torch.zeros(4, 1, 16, 16, dtype=torch.uint8)
    black_and_white[0] = 255
    # A new generator's images are grey: logits of about -0.1.
    d_loss, g_loss, real, fake = gan.train_step(black_and_white).tolist()
    assert (real, fake) == (0.25, 1)
    assert d_loss == pytest.approx((0.6 + 3 * 1.6) / 4 + 0.9, abs=0.05)
    assert g_loss == pytest.approx(0.1, abs=0.05)


def test_both_learning_rates_fall_together(make_gan: MakeGan, images: Tensor) -> None:
    gan = make_gan(generator_lr=0.01, discriminator_lr=0.02, decay_from=0.5)
    rates = []
    for _ in train(gan, TrainingData(images), 14, report_every=1):
        (generators,) = gan.generator_adam.param_groups
        (discriminators,) = gan.discriminator_adam.param_groups
        assert discriminators["lr"] == 2 * generators["lr"]
        rates.append(generators["lr"])
    assert rates == pytest.approx([0.01] * 8 + [0.01 * left / 7 for left in range(6, 0, -1)])


def test_a_run_with_decay_resumes_bit_for_bit_and_follows_a_new_end(
    make_gan: MakeGan, images: Tensor
) -> None:
    whole = run_to(make_gan(decay_from=0.2), images, 25).state_dict()
    first = make_gan(decay_from=0.2)
    for report in train(first, TrainingData(images), 25, report_every=1):
        if report.step == 10:
            break
    state = copy.deepcopy(first.state_dict())
    second, longer = make_gan(decay_from=0.2), make_gan(decay_from=0.2)
    second.load_state_dict(copy.deepcopy(state))
    assert_same_bits(run_to(second, images, 25).state_dict(), whole)
    longer.load_state_dict(state)
    next(train(longer, TrainingData(images), 50, report_every=1))
    # Step 10 of 50 is the last one before the decay.
    assert longer.generator_adam.param_groups[0]["lr"] == 2e-3


@pytest.mark.parametrize(("loss", "batches"), [("hinge", 3), ("relativistic", 4)])
def test_the_discriminator_sees_only_augmented_images(
    make_gan: MakeGan, monkeypatch: pytest.MonkeyPatch, loss: str, batches: int
) -> None:
    gan = make_gan(loss=loss, augment="cutout")
    seen: list[Tensor] = []
    judge = gan.discriminator.forward

    def forward(inputs: Tensor) -> Tensor:
        seen.append(inputs.detach())
        return judge(inputs)

    monkeypatch.setattr(gan.discriminator, "forward", forward)
    gan.train_step(torch.full((4, 1, 16, 16), 255, dtype=torch.uint8))
    assert len(seen) == batches
    assert all((images == 0).flatten(1).any(dim=1).all() for images in seen)


def test_each_network_has_its_own_learning_rate(make_gan: MakeGan) -> None:
    gan = make_gan(generator_lr=0.1, discriminator_lr=0.2, beta1=0.3, beta2=0.4)
    for adam, rate in ((gan.generator_adam, 0.1), (gan.discriminator_adam, 0.2)):
        (group,) = adam.param_groups
        assert (group["lr"], group["betas"]) == (rate, (0.3, 0.4))


def test_the_generators_update_leaves_the_discriminators_gradients_alone(
    images: Tensor, make_gan: MakeGan, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan = make_gan()
    gathered: list[list[Tensor]] = []
    update = gan.discriminator_adam.step

    def step() -> None:
        update()
        gathered.append([weights.grad.clone() for weights in gan.discriminator.parameters()])

    monkeypatch.setattr(gan.discriminator_adam, "step", step)
    gan.train_step(images[:4])
    now = [weights.grad for weights in gan.discriminator.parameters()]
    assert_same_bits({"gradients": now}, {"gradients": gathered[0]})


@pytest.mark.parametrize("loss", ["hinge", "bce", "relativistic"])
def test_the_discriminator_learns_to_recognise_the_images_of_a_fixed_generator(
    make_gan: MakeGan, loss: str
) -> None:
    gan = make_gan(loss=loss, generator_lr=1e-12, discriminator_lr=2e-3, batch_size=16)
    white = torch.full((160, 1, 16, 16), 255, dtype=torch.uint8)
    reports = list(train(gan, TrainingData(white), 40, report_every=1))
    last = reports[-1]
    assert last.discriminator_loss < reports[0].discriminator_loss / 2
    assert last.accuracy_real > 0.9
    assert last.accuracy_fake > 0.9


@pytest.mark.parametrize(("loss", "grey"), [("hinge", 60), ("bce", 200), ("relativistic", 200)])
def test_the_generator_learns_a_constant_grey(make_gan: MakeGan, loss: str, grey: int) -> None:
    gan = make_gan(
        loss=loss,
        generator_lr=4e-3,
        discriminator_lr=4e-3,
        average_decay=0.9,
        batch_size=16,
        generator_filters=4,
        discriminator_filters=4,
    )
    constant = torch.full((160, 1, 16, 16), grey, dtype=torch.uint8)
    run_to(gan, constant, 200)
    with torch.no_grad():
        drawn = gan.averaged_generator()(gan.sample_latents(64))
    assert (127.5 * (drawn + 1)).mean().item() == pytest.approx(grey, abs=25)
