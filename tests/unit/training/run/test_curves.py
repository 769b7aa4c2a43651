import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from training.run import animation, curves, display
from training.run.journal import Run


def lines(count: int) -> list[dict[str, Any]]:
    return [
        {
            "epoch": k,
            "discriminator_loss": 1 / k,
            "generator_loss": -0.1 * k,
            "accuracy_real": 0.75,
            "accuracy_fake": 0.5 + 0.01 * k,
        }
        for k in range(1, count + 1)
    ]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The matplotlib figures that are saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def saved(figure: Figure, *arguments: Any, **options: Any) -> None:
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", saved)
    return figures


@pytest.fixture(scope="module", autouse=True)
def _no_curves() -> None:
    """Overrides the fixture that replaces the curves: here they are drawn."""


# The curves.


@pytest.mark.parametrize("count", [1, 30])
def test_both_networks_are_plotted_by_epoch(drawn: list[Figure], count: int) -> None:
    epochs = lines(count)
    contents = curves.losses(epochs, "bce"), curves.accuracy(epochs)
    for content in contents:
        assert Image.open(io.BytesIO(content)).size == (960, 540)
    columns = [
        ("discriminator", "discriminator_loss"),
        ("generator", "generator_loss"),
        ("real images", "accuracy_real"),
        ("generated images", "accuracy_fake"),
    ]
    found = {line.get_label(): line for figure in drawn for line in figure.axes[0].get_lines()}
    assert found.keys() == {label for label, _ in columns} | {"chance"}
    for label, name in columns:
        np.testing.assert_array_equal(found[label].get_xdata(), range(1, count + 1))
        np.testing.assert_array_equal(found[label].get_ydata(), [line[name] for line in epochs])


def test_the_probability_of_adaptive_augmentation_is_beside_the_accuracies(
    drawn: list[Figure],
) -> None:
    epochs = [{**line, "augment_probability": 0.1 * line["epoch"]} for line in lines(3)]
    curves.accuracy(epochs)
    (axes,) = drawn[0].axes
    found = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    assert found.keys() == {"real images", "generated images", "augmentation", "chance"}
    np.testing.assert_allclose(found["augmentation"], [0.1, 0.2, 0.3])
    assert axes.get_ylabel() == "accuracy, probability of augmentation (%)"


def test_the_distance_to_a_teacher_is_beside_the_losses(drawn: list[Figure]) -> None:
    curves.losses([{**line, "teacher_distance": 0.1 * line["epoch"]} for line in lines(3)], "bce")
    *_, distance = drawn[0].axes[0].get_lines()
    assert distance.get_label() == "distance to the teacher (no unit)"
    np.testing.assert_allclose(distance.get_ydata(), [0.1, 0.2, 0.3])


def test_the_axes_are_labelled_with_units(drawn: list[Figure]) -> None:
    curves.losses(lines(2), "bce")
    curves.losses(lines(2), "hinge")
    curves.accuracy(lines(2))
    assert {figure.axes[0].get_xlabel() for figure in drawn} == {"epoch"}
    assert [figure.axes[0].get_ylabel() for figure in drawn] == [
        "mean loss (nats)",
        "mean loss (hinge loss, no unit)",
        "accuracy of the discriminator (%)",
    ]


def test_equal_metrics_give_equal_files() -> None:
    assert curves.accuracy(lines(3)) == curves.accuracy(lines(3))


# The animation.


@pytest.fixture
def grid(tmp_path: Path) -> Callable[..., Path]:
    def drawn(epoch: int, mode: str = "L", side: int = 32) -> Path:
        path = tmp_path / f"{epoch}.png"
        Image.new(mode, (side, side), "black").save(path)
        return path

    return drawn


def test_a_long_run_is_thinned_evenly() -> None:
    assert animation.shown_frames(1) == [0]
    assert animation.shown_frames(60) == list(range(60))
    chosen = animation.shown_frames(1000)
    assert (len(chosen), chosen[0], chosen[-1]) == (60, 0, 999)
    assert {16, 17} >= set(np.diff(chosen).tolist())


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_epoch_is_a_frame_and_the_last_stays_longer(
    grid: Callable[..., Path], mode: str
) -> None:
    content = animation.gif([(epoch, grid(epoch, mode)) for epoch in (1, 2, 3)])
    with Image.open(io.BytesIO(content)) as image:
        assert image.info["loop"] == 0
        # Equal grids are different frames, because the caption names the epoch.
        assert (image.format, image.n_frames) == ("GIF", 3)
        assert image.size == (32, 32 + animation.CAPTION_HEIGHT)
        durations = []
        for k in range(3):
            image.seek(k)
            durations.append(image.info["duration"])
            assert image.convert("L").getpixel((16, 16)) == 0
    assert durations == [
        animation.FRAME_DURATION,
        animation.FRAME_DURATION,
        animation.LAST_FRAME_DURATION,
    ]


def test_large_grids_are_scaled_down(grid: Callable[..., Path]) -> None:
    with Image.open(io.BytesIO(animation.gif([(1, grid(1, side=1024))]))) as image:
        assert image.width == animation.MAX_SIDE


# The run's folder.


def test_a_finished_run_has_curves_and_an_animation(
    fit: Callable[..., int], tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    assert fit(run.folder) == 0
    assert run.losses.read_bytes() == curves.losses(run.epochs(), "bce")
    assert run.accuracy.read_bytes() == curves.accuracy(run.epochs())
    with Image.open(run.animation) as image:
        assert (image.n_frames, image.size) == (2, (128, 128 + animation.CAPTION_HEIGHT))


def test_a_failure_to_draw_does_not_end_the_run(
    fit: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: object) -> None:
        raise OSError("the disk is full")

    class Files:
        write = staticmethod(fails)

    monkeypatch.setattr(display, "atomic_files", Files)
    assert fit(tmp_path / "run") == 0
    run = Run(tmp_path / "run")
    assert len(run.epochs()) == 2
    assert run.checkpoint.exists()
    assert not run.losses.exists()
    text = "warning: a picture of the run cannot be drawn: OSError: the disk is full"
    assert text in capsys.readouterr().err


def test_a_run_that_fails_has_the_curves_of_all_its_epochs(
    finished_run: Path, tmp_path: Path
) -> None:
    run = Run(Path(shutil.copytree(finished_run, tmp_path / "run")))
    run.losses.unlink()
    config = run.config()
    with pytest.raises(OSError, match="full"), display.Display(run, config):
        raise OSError("the disk is full")
    assert run.losses.read_bytes() == curves.losses(run.epochs(), "bce")


def test_a_run_without_an_epoch_has_no_animation(finished_run: Path, tmp_path: Path) -> None:
    run = Run(tmp_path)
    with display.Display(run, Run(finished_run).config()):
        pass
    assert not run.animation.exists()
