"""Which version is the default of a model after another one is published."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.artifact import card, default_version
from app.artifact.card import Card, Metric
from tests import versions
from training.__main__ import main
from training.errors import ExportError
from training.export.default_choice import DefaultChoice

PROTOCOL = "of 10000 images, on the features of a network"
Scored = Callable[..., Card]


def measured(value: float, protocol: str = PROTOCOL, floor: float = 0.1) -> dict[str, Metric]:
    """The metrics of a card, as ``export`` copies them from an evaluation."""
    return {"fd_cnn": Metric(value=value, protocol=f"{protocol}; {floor} for real images")}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "models" / "cats"


@pytest.fixture
def scored(model: Path) -> Scored:
    """Publishes a version, without a choice, with the given metrics; returns its card."""

    def publish(number: int, metrics: dict[str, Metric]) -> Card:
        folder = versions.publish(model.parent, model.name, number)
        described = card.read(folder).model_copy(update={"metrics": metrics})
        card.write(described, folder)
        return described

    return publish


def choice(model: Path, new: Card, *, requested: bool = False) -> DefaultChoice:
    """The choice for ``new``, which is published meanwhile."""
    (folder := model / str(new.version)).rename(model / ".aside")
    made = DefaultChoice.of(model, new, requested=requested)
    made.hold()
    (model / ".aside").rename(folder)
    made.carry_out()
    return made


def default(model: Path) -> int:
    return default_version.choose(card.version_numbers(model), default_version.read(model))


def test_the_first_version_is_the_default_without_a_word(model: Path, scored: Scored) -> None:
    made = choice(model, scored(1, {}))
    assert default(model) == 1
    assert list(made.lines()) == []


@pytest.mark.parametrize("value", [2.0, 3.0], ids=["better", "equal"])
def test_a_version_that_is_not_worse_becomes_the_default(
    model: Path, scored: Scored, value: float
) -> None:
    scored(1, measured(3.0))
    made = choice(model, scored(2, measured(value, floor=0.2)))
    assert default(model) == 2
    assert list(made.lines()) == [
        f"fd_cnn of version 2: {value:g}",
        "fd_cnn of version 1, the default so far: 3",
        "version 2 is the default now",
    ]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (measured(3.0), measured(3.5), "the new version is worse"),
        (measured(3.0), measured(float("nan")), "the new version is worse"),
        (measured(3.0), {}, "`evaluate` has not measured version 2"),
        ({}, measured(3.0), "`evaluate` has not measured version 1"),
        (measured(3.0), measured(2.0, "of 500 images"), "measured in different ways"),
    ],
    ids=["worse", "NaN", "not measured", "the default not measured", "different protocols"],
)
def test_another_version_does_not(
    model: Path,
    scored: Scored,
    before: dict[str, Metric],
    after: dict[str, Metric],
    words: str,
) -> None:
    scored(1, before)
    made = choice(model, scored(2, after))
    assert default(model) == 1
    *_, decision, remedy = made.lines()
    assert decision.startswith("version 1 stays the default: ")
    assert words in decision
    arguments = remedy.partition("python -m training ")[2].partition(";")[0].split()
    assert main(arguments) == 0
    assert default(model) == 2


def test_the_recorded_default_is_the_one_that_is_compared(model: Path, scored: Scored) -> None:
    scored(1, measured(3.0))
    scored(2, measured(5.0))
    default_version.write(model, 1)
    choice(model, scored(3, measured(4.0)))
    assert default(model) == 1


def test_a_worse_version_is_the_default_on_request(model: Path, scored: Scored) -> None:
    scored(1, measured(3.0))
    made = choice(model, scored(2, measured(3.5)), requested=True)
    assert default(model) == 2
    assert [*made.lines()][-1] == "version 2 is the default now"


def test_a_default_with_a_damaged_card_counts_as_not_measured(model: Path, scored: Scored) -> None:
    scored(1, measured(3.0))
    (model / "1" / "card.json").write_text("{")
    choice(model, scored(2, measured(2.0)))
    assert default(model) == 1


def test_a_damaged_record_stops_the_publication(model: Path, scored: Scored) -> None:
    new = scored(2, {})
    scored(1, {})
    (model / default_version.FILE).write_text("two")
    with pytest.raises(ExportError, match="default: must be a file"):
        DefaultChoice.of(model, new, requested=True)


def test_the_commands_keep_the_default_until_they_are_told(
    finished_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    export = ["export", str(finished_run), "--name", "tiny"]
    for version in ("1", "2"):
        assert main([*export, "--version", version]) == 0
    output = capsys.readouterr().out
    assert "version 1 stays the default: `evaluate` has not measured version 2" in output
    assert "python -m training default --name tiny --version 2;" in output
    assert default(tmp_path / "models" / "tiny") == 1
    assert main(["default", "--name", "tiny", "--version", "2"]) == 0
    assert default(tmp_path / "models" / "tiny") == 2
    assert main([*export, "--version", "3", "--default"]) == 0
    assert default(tmp_path / "models" / "tiny") == 3


def test_a_version_that_does_not_exist_cannot_be_the_default(
    tmp_path: Path, scored: Scored, capsys: pytest.CaptureFixture[str]
) -> None:
    scored(1, {})
    models = str(tmp_path / "models")
    assert main(["default", "--name", "cats", "--version", "2", "--models", models]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert not (tmp_path / "models" / "cats" / default_version.FILE).exists()
