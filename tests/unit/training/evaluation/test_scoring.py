"""The score of a generator, and the checkpoint that is selected by it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.artifact import card
from app.artifact.card import Latent
from training.__main__ import main
from training.config import Config
from training.data.images import ImageSet
from training.errors import EvaluationError
from training.evaluation import distances, features, loaded_model, scoring
from training.evaluation.features import FASHION_MNIST
from training.evaluation.scoring import scorer
from training.gan import networks
from training.gan.pixels import of_seeds, to_pixels
from training.image_size import ImageSize
from training.loop import checkpoint
from training.loop.fit import Score
from training.run.journal import Run

Fit = Callable[..., int]
CPU = torch.device("cpu")
LATENT = Latent(width=4, prior="normal")


# The score.


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SAMPLES", 150)
    monkeypatch.setattr(scoring, "REAL_IMAGES", 200)


def image_set(name: str = "fashion-mnist", count: int = 250, size: int = 28) -> ImageSet:
    random = np.random.default_rng(0)
    return ImageSet(name, "none", random.integers(0, 256, (count, 1, size, size), dtype=np.uint8))


def generator() -> nn.Module:
    torch.manual_seed(0)
    return networks.generator(4, 1, ImageSize.square(28), 2).eval()


@pytest.mark.usefixtures("few")
def test_a_score_is_the_distance_of_the_first_seeds_to_the_first_training_images() -> None:
    made, real = generator(), image_set()
    drawn = of_seeds(lambda z: to_pixels(made, torch.from_numpy(z)), range(150), LATENT)
    network = features.load(FASHION_MNIST)
    expected = distances.frechet(
        features.extract(network, real.pixels[:200], FASHION_MNIST).features,
        features.extract(network, drawn, FASHION_MNIST).features,
    )
    assert scorer(Config(latent_dim=4), real, CPU)(made) == pytest.approx(expected, rel=1e-9)


@pytest.mark.usefixtures("few")
def test_the_training_images_themselves_score_next_to_nothing() -> None:
    real = image_set(count=200)

    class Memory(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return torch.from_numpy(real.pixels[: len(z)]).float() / 127.5 - 1

    score = scorer(Config(latent_dim=4), real, CPU)
    assert score(Memory()) < score(generator()) / 100


@pytest.mark.usefixtures("few")
def test_scoring_uses_no_random_numbers() -> None:
    made, before = generator(), torch.get_rng_state()
    score = scorer(Config(latent_dim=4), image_set(), CPU)
    assert score(made) == score(made)
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("images", [image_set("pets"), image_set(size=32)], ids=["pets", "32×32"])
def test_images_without_a_feature_network_are_refused(images: ImageSet) -> None:
    with pytest.raises(EvaluationError, match="--score-every 2: there is no feature network"):
        scorer(Config(score_every=2), images, CPU)


def test_a_run_that_cannot_be_scored_is_not_started(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", "--score-every", 1) == 1  # its images are 16×16
    assert "error: --score-every 1: there is no feature network" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# The best checkpoint.


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The scores of the epochs of the next runs, in order."""
    values: list[float] = []

    def made(*_: Any) -> Score:
        return lambda _: values.pop(0)

    monkeypatch.setattr(scoring, "scorer", made)
    return values


def steps(run: Path) -> dict[str, int]:
    return {path.stem: checkpoint.load(path)["step"] for path in (run / "checkpoints").iterdir()}


def told_scores(run: Path) -> list[float | None]:
    return [line.get("fd_cnn") for line in Run(run).epochs()]


def test_the_best_epoch_is_kept_beside_the_last(
    fit: Fit, tmp_path: Path, scores: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    scores += [3, 1, 2, 1]
    assert fit(tmp_path, "--epochs", 4, "--score-every", 1) == 0
    assert told_scores(tmp_path) == [3, 1, 2, 1]
    assert steps(tmp_path) == {"best": 10, "last": 20}
    *output, best, _, _, _ = capsys.readouterr().out.splitlines()
    assert best.endswith("best.pt, the best, of epoch 2: fd_cnn 1")
    assert [line.partition(" fd_cnn ")[2] for line in output] == [
        "3, the best",
        "1, the best",
        "2",
        "1",
    ]


def test_every_nth_epoch_is_scored_and_the_last(
    fit: Fit, tmp_path: Path, scores: list[float]
) -> None:
    scores += [3, 2, 4]
    assert fit(tmp_path, "--epochs", 5, "--score-every", 2) == 0
    assert told_scores(tmp_path) == [None, 3, None, 2, 4]
    assert steps(tmp_path) == {"best": 20, "last": 25}


def test_a_resumed_run_knows_its_best_score(fit: Fit, tmp_path: Path, scores: list[float]) -> None:
    scores += [2, 3, 1]
    assert fit(tmp_path, "--epochs", 1, "--score-every", 1) == 0
    assert fit(tmp_path, "--resume", "--epochs", 2) == 0
    assert steps(tmp_path) == {"best": 5, "last": 10}
    assert fit(tmp_path, "--resume", "--epochs", 3) == 0
    assert steps(tmp_path) == {"best": 15, "last": 15}


def test_a_run_cut_off_between_its_best_and_its_last_finds_the_best_again(
    fit: Fit, tmp_path: Path, scores: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = checkpoint.save

    def interrupted(state: dict[str, Any], path: Path) -> None:
        if state["step"] == 10 and path.name == "last.pt":
            raise KeyboardInterrupt
        save(state, path)

    scores += [2, 1]
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", interrupted)
        assert fit(tmp_path, "--score-every", 1) == 130
    assert steps(tmp_path) == {"best": 10, "last": 5}
    scores += [1]
    assert fit(tmp_path, "--resume", "--score-every", 1) == 0
    assert steps(tmp_path) == {"best": 10, "last": 10}
    assert told_scores(tmp_path) == [2, 1]


def test_a_best_checkpoint_that_was_removed_is_replaced_by_the_next(
    fit: Fit, tmp_path: Path, scores: list[float]
) -> None:
    scores += [1, 2]
    assert fit(tmp_path, "--epochs", 1, "--score-every", 1) == 0
    Run(tmp_path).best_checkpoint.unlink()
    assert fit(tmp_path, "--resume", "--epochs", 2) == 0
    assert steps(tmp_path) == {"best": 10, "last": 10}


@pytest.mark.usefixtures("few")
def test_scores_do_not_change_a_single_bit_of_the_run(
    fit: Fit, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = scoring.scorer

    def at_28(config: Config, _: ImageSet, device: torch.device) -> Score:
        score = real(config, image_set(), device)
        return lambda generator: score(nn.Sequential(generator, nn.Upsample((28, 28))))

    monkeypatch.setattr(scoring, "scorer", at_28)
    assert fit(tmp_path, "--score-every", 1) == 0
    assert all(score and score > 0 for score in told_scores(tmp_path))
    first, second = (checkpoint.load(Run(run).checkpoint) for run in (tmp_path, finished_run))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


# Which one is exported and evaluated.


@pytest.fixture(scope="module")
def scored(fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs whose first is the better one. Read-only."""
    out, values = tmp_path_factory.mktemp("scored") / "run", [1.0, 2.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "scorer", lambda *_: lambda _: values.pop(0))
        assert fit(out, "--score-every", 1) == 0
    return out


def exported(run: Path, models: Path, *flags: str) -> card.Training:
    call = ["export", str(run), "--name", "tiny", "--version", "1", "--models", str(models)]
    assert main([*call, *flags]) == 0
    return card.read(models / "tiny" / "1").training


@pytest.mark.parametrize(
    ("flags", "epochs"), [([], 1), (["--checkpoint", "best"], 1), (["--checkpoint", "last"], 2)]
)
def test_the_best_is_exported_unless_the_last_is_requested(
    scored: Path, tmp_path: Path, flags: list[str], epochs: int
) -> None:
    output = exported(scored, tmp_path / "models", *flags)
    assert (output.epochs, output.steps) == (epochs, 5 * epochs)


def test_without_scores_the_last_is_exported_and_a_best_cannot_be(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(finished_run, tmp_path / "models").steps == 10
    call = ["export", str(finished_run), "--name", "tiny", "--version", "2"]
    assert main([*call, "--models", str(tmp_path / "models"), "--checkpoint", "best"]) == 1
    output = capsys.readouterr().err
    assert re.search(r"error: \S+best\.pt: there is no checkpoint", output)


@pytest.mark.parametrize(("which", "step"), [(None, 5), ("best", 5), ("last", 10)])
def test_the_best_is_evaluated_unless_the_last_is_requested(
    scored: Path, which: Any, step: int
) -> None:
    assert loaded_model.load(scored, CPU, which).step == step


def test_a_published_version_has_no_checkpoints(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = models / "fashion-mnist" / "2"
    assert main(["evaluate", str(version), "--checkpoint", "last"]) == 1
    assert "a published version has no checkpoints" in capsys.readouterr().err


def test_the_images_of_seeds_are_drawn_in_batches() -> None:
    widths: list[int] = []

    def draw(z: NDArray[np.float32]) -> NDArray[np.uint8]:
        widths.append(len(z))
        return np.repeat((z[:, :1, None, None] > 0).astype(np.uint8), 3, axis=3)

    drawn = of_seeds(draw, range(250), LATENT)
    assert widths == [100, 100, 50]
    assert drawn.shape == (250, 3, 1, 1)
